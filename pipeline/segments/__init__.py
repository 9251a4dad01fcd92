"""Segments of one video: where it is cut, what a result depends on, the results that are kept."""
