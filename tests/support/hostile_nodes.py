"""A node as a broken plug-in may be."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.types import Frame, VideoInfo

__all__ = ["Leave"]


class Leave(MapNode[NodeConfig]):
    """Hands frames on; leaves or raises over videos of those names."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        "toy.leave", "leaves", (Port("frames", Frame),), (Port("frames", Frame),)
    )
    Config = NodeConfig

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Take note of the video's name."""
        self._source = segment.input
        return inputs["frames"]

    def process(self, inputs: Inputs) -> Outputs:
        """Leave, raise, or hand on."""
        if "leave" in self._source:
            sys.exit(0)
        if "raise" in self._source:
            raise AssertionError("two\nlines")
        return {"frames": inputs.get("frames", Frame)}
