"""The node that decodes a video, the source of a graph."""

from nodes.decode.config import DecodeConfig
from nodes.decode.node import Decode

__all__ = ["Decode", "DecodeConfig"]
