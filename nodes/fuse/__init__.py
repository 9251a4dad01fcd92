"""`aminet.fuse`: what earlier frames say about each face."""

from nodes.fuse.node import Fuse, FuseConfig

__all__ = ["Fuse", "FuseConfig"]
