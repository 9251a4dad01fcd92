"""Training: the loop, its step, its settings and its checkpoints."""
