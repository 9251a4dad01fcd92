"""Pixel operations in the decoder's own planes: layouts, regions, residuals and fields."""
