"""A node that changes chosen frames, as restored faces would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nodes.frame_filter import FrameFilter
from nodes.node import Inputs, NodeConfig, Outputs
from nodes.types import Frame, RgbImage
from tests.support.media import decode_all

__all__ = ["Mark", "marking_graph", "times_of"]


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


def times_of(source: Path, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the times of frames, counted as they are shown, for `marking_graph`."""
    shown = sorted(picture.pts or 0 for picture in decode_all(source))
    return [(shown[number], shown[number] + 1) for number in numbers]
