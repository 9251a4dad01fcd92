"""Training data: pictures of faces, how they are degraded, and the batches made of them."""
