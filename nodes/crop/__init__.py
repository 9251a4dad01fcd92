"""Cuts out the pixels around each face that is worth restoring."""

from nodes.crop.node import Crop, CropConfig

__all__ = ["Crop", "CropConfig"]
