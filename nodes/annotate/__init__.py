"""The node that draws boxes, numbers and tags at faces."""

from nodes.annotate.node import Annotate, AnnotateConfig

__all__ = ["Annotate", "AnnotateConfig"]
