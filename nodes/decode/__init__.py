"""Reads a video: the source of every graph."""

from nodes.decode.config import DecodeConfig
from nodes.decode.node import Decode

__all__ = ["Decode", "DecodeConfig"]
