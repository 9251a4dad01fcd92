"""Cuts out the pixels around each face that is worth restoring."""

from nodes.crop.config import CropConfig
from nodes.crop.node import Crop

__all__ = ["Crop", "CropConfig"]
