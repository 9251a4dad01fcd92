"""The pieces of an output's video: their packets, times and header, cuts, and a proof."""
