"""Pictures in the decoder's own planes: layout, colour regions, residuals, fields."""
