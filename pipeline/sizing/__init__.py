"""Deciding how many actors run where, and which one gets the next work. Pure functions."""
