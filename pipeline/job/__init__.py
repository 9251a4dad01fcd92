"""Jobs of many videos: planning, running, resuming, joining, reporting."""
