"""Programs for those who develop this project; none is part of what is installed."""
