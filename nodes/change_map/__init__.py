"""The node that shows what differs between two videos."""

from nodes.change_map.node import ChangeMap, ChangeMapConfig

__all__ = ["ChangeMap", "ChangeMapConfig"]
