"""Graphs: reading, building, and finding nodes by what they do."""
