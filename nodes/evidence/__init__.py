"""A digest of every frame before and after, and what was changed in it."""

from nodes.evidence.node import Evidence, EvidenceConfig

__all__ = ["Evidence", "EvidenceConfig"]
