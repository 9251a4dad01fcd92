"""Graphs whose frames come from a Python program and go back to it."""
