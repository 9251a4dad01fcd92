"""Container files: probing, timing, muxing, and converting other streams."""
