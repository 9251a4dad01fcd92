"""A node that changes chosen frames, as restored faces would."""

from __future__ import annotations

from typing import Any

import numpy as np

from nodes.frame_filter import FrameFilter
from nodes.node import Inputs, NodeConfig, Outputs
from nodes.types import Frame, RgbImage

__all__ = ["Mark", "marking_graph"]


class MarkConfig(NodeConfig):
    """Which frames to change."""

    times: tuple[tuple[int, int], ...] = ()
    """First pts, and first pts after the last, of the changed frames."""


class Mark(FrameFilter[MarkConfig], type_name="test.mark", summary="whiten a corner of frames"):
    """Whitens a corner of the chosen frames."""

    Config = MarkConfig

    def process(self, inputs: Inputs) -> Outputs:
        """Change the frame if it is chosen."""
        if any(first <= inputs.pts < after for first, after in self.config.times):
            return super().process(inputs)
        return {"frames": inputs.get("frames", Frame)}

    def filter(self, rgb: RgbImage) -> RgbImage:
        """Whiten a corner."""
        rgb[: rgb.shape[0] // 2, : rgb.shape[1] // 2] = np.iinfo(rgb.dtype).max
        return rgb


def marking_graph(*times: tuple[int, int], **encode: Any) -> dict[str, Any]:
    """Return a graph that changes the frames at these times and encodes."""
    return {
        "name": "marking",
        "nodes": {
            "decode": {"type": "aminet.decode"},
            "mark": {
                "type": Mark,
                "inputs": {"frames": "decode.frames"},
                "config": {"times": times},
            },
            "encode": {
                "type": "aminet.encode",
                "inputs": {"frames": "mark.frames"},
                "config": encode,
            },
        },
    }
