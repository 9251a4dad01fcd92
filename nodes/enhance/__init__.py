"""The node that restores faces with AMINet, the only one that imports torch."""

from nodes.enhance.node import Enhance, EnhanceConfig

__all__ = ["Enhance", "EnhanceConfig"]
