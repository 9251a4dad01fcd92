"""Developers' programs that are no part of the product."""
