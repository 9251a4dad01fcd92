"""The page of a run that a person reads: one HTML file, with everything in it."""
