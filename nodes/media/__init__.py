"""What nodes read of media files: opening, packets, side data."""
