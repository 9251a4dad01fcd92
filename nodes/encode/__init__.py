"""Writes the output video."""

from nodes.encode.encoders import EncodeConfig
from nodes.encode.node import Encode

__all__ = ["Encode", "EncodeConfig"]
