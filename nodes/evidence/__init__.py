"""The node that writes digests and changes of every frame."""

from nodes.evidence.node import Evidence, EvidenceConfig

__all__ = ["Evidence", "EvidenceConfig"]
