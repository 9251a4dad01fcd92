"""Alignment of faces and registration of patches."""
