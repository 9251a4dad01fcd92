"""`aminet.change_map`: shows which samples differ between two videos, amplified.

The picture is gray where nothing differs. Differences are added to it sample by sample, in the
pixel format of the frames, so that nothing is rounded and no difference can be missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import av
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nodes.errors import NodeConfigError
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.picture.layout import PixelLayout, pixel_layout, plane_samples, resolve_color
from nodes.picture.regions import copy_tags
from nodes.types import Frame, VideoInfo

__all__ = ["ChangeMap", "ChangeMapConfig"]


class ChangeMapConfig(NodeConfig):
    """How strongly differences are shown."""

    gain: int = Field(default=8, ge=1, le=64)
    """Levels of the output per level of difference."""


class ChangeMap(MapNode[ChangeMapConfig]):
    """Turns two frames into their amplified difference, `after` less `before`, on gray."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.change_map",
        summary="show the differences between two videos, amplified, on gray",
        inputs=(Port("before", Frame), Port("after", Frame)),
        outputs=(Port("frames", Frame),),
    )
    Config: ClassVar[type[NodeConfig]] = ChangeMapConfig

    def __init__(self, config: ChangeMapConfig) -> None:
        super().__init__(config)
        self._full_range = False
        self._frames = self._changed = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Check that the two videos can be compared.

        Raises:
            NodeConfigError: they differ in size or pixel format.
            UnsupportedFormatError: the pixel format is not Y'CbCr or gray.
        """
        del segment
        before, after = inputs["before"], inputs["after"]
        sizes = [f"{v.width_px}x{v.height_px} {v.pix_fmt}" for v in (before, after)]
        if sizes[0] != sizes[1]:
            raise NodeConfigError(
                f"the frames before are {sizes[0]} and those after {sizes[1]}, expected two videos"
                " of the same size and pixel format"
            )
        layout = pixel_layout(after.pix_fmt)
        # A gray picture has no range but the full one.
        self._full_range = (
            layout.chroma == "none" or resolve_color(after.color, layout, after.height_px)[1]
        )
        self._frames = self._changed = 0
        return after

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video of the frames after."""
        return inputs["after"]

    def process(self, inputs: Inputs) -> Outputs:
        """Compare two frames."""
        before, after = inputs.get("before", Frame), inputs.get("after", Frame)
        same = before.picture is after.picture
        self._frames += 1
        picture = av.VideoFrame(
            after.picture.width, after.picture.height, after.picture.format.name
        )
        layout = pixel_layout(picture.format.name)
        differs = False
        for index in range(len(picture.planes)):
            neutral, low, high = self._levels(layout, index)
            target = plane_samples(picture, layout, index)
            if same:
                target[...] = neutral << layout.shift
                continue
            step = _difference(before.picture, after.picture, layout, index)
            differs = differs or bool(step.any())
            shown = np.clip(neutral + self.config.gain * step, low, high)
            target[...] = shown.astype(layout.dtype) << layout.shift
        self._changed += differs
        copy_tags(after.picture, picture)
        return {"frames": replace(after, picture=picture)}

    def report(self) -> dict[str, Any]:
        """Count the frames, and those in which something differs."""
        return {"frames": self._frames, "changed_frames": self._changed}

    def _levels(self, layout: PixelLayout, index: int) -> tuple[int, int, int]:
        """Return the code of "no difference", and the least and largest code of a plane."""
        unit, top = 1 << (layout.bit_depth - 8), (1 << layout.bit_depth) - 1
        if self._full_range:
            return 128 * unit, 0, top
        if index == 0:
            return 126 * unit, 16 * unit, 235 * unit
        return 128 * unit, 16 * unit, 240 * unit


def _difference(
    before: av.VideoFrame, after: av.VideoFrame, layout: PixelLayout, index: int
) -> npt.NDArray[np.int32]:
    one, other = (
        plane_samples(picture, layout, index).astype(np.int32) >> layout.shift
        for picture in (before, after)
    )
    return other - one
