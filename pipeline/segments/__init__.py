"""Segments of a video: planning them, their identity, and storing their results."""
