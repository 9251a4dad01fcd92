"""The record of a result: its inputs, the software and settings, and the changes."""
