"""Dataflow graphs: reading, building and describing them."""
