"""Models that ship with the nodes; see README.md for where they come from."""
