"""Files in folders and object stores, scratch space, locks."""
