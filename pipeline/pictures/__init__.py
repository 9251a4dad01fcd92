"""Picture outputs: photographs, animations and numbered files."""
