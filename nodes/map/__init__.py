"""`aminet.map` and `aminet.map_faces`: any Python function on whole pictures, or on faces."""

from nodes.map.function import FunctionConfig
from nodes.map.node import MapFaces, MapFrames

__all__ = ["FunctionConfig", "MapFaces", "MapFrames"]
