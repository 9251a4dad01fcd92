"""Measures of a restored video."""
