"""Container files: probing, timing, muxing, and converting what is not video."""
