"""The node that selects the faces to restore and cuts them out."""

from nodes.crop.config import CropConfig
from nodes.crop.node import Crop

__all__ = ["Crop", "CropConfig"]
