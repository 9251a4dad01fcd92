"""Training data: reading pictures of faces, degrading them, and making batches of them."""
