"""Evidence: what a result was made of and with, and what was altered in it."""
