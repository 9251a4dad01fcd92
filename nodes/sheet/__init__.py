"""The node that writes contact sheets of the faces before and after."""

from nodes.sheet.node import Sheet, SheetConfig

__all__ = ["Sheet", "SheetConfig"]
