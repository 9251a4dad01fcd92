"""Restores faces with AMINet; the only folder here that imports torch."""

from nodes.enhance.node import Enhance, EnhanceConfig

__all__ = ["Enhance", "EnhanceConfig"]
