"""Outputs that are pictures: photographs, animations, numbered files."""
