"""`aminet.write_patches`: aligned pictures of faces, for other tools."""

from nodes.write_patches.node import WritePatches, WritePatchesConfig

__all__ = ["WritePatches", "WritePatchesConfig"]
