"""Reads a video: the source of every graph."""

from nodes.decode.node import Decode, DecodeConfig

__all__ = ["Decode", "DecodeConfig"]
