"""Hiding faces: `aminet.blur`."""

from nodes.blur.node import Blur, BlurConfig

__all__ = ["Blur", "BlurConfig"]
