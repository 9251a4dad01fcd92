"""Reading media files with libav: opening, packets, pictures and side data."""
