"""Verification: whether a result is what its report says, and can be made again."""
