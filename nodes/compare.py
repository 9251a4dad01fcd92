"""`aminet.compare`: shows two versions of a video in one picture.

Works on the planes in the video's own pixel format, so that both versions keep their codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, Literal

import av
import numpy as np
from pydantic import Field

from nodes.errors import NodeConfigError
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.picture.layout import (
    PixelLayout,
    Region,
    pixel_layout,
    plane_samples,
    region_samples,
    resolve_color,
)
from nodes.picture.regions import copy_picture, copy_tags
from nodes.types import Frame, VideoInfo

__all__ = ["Compare", "CompareConfig"]

_ACROSS: Final = {0: (0, False), 90: (1, True), 180: (0, True), 270: (1, False)}
"""The coded axis along which a viewer's left to right runs, and whether backwards, by rotation."""
_DOWN: Final = {0: (1, False), 90: (0, False), 180: (1, True), 270: (0, True)}
"""The same for top to bottom."""


class CompareConfig(NodeConfig):
    """How the two versions share the picture."""

    layout: Literal["side_by_side", "stacked", "wipe"] = "side_by_side"
    """`side_by_side` and `stacked` show both whole; with `wipe` a line moves over the picture, with
    the version before on its left and the one after on its right."""
    line_px: int = Field(default=4, ge=0, le=64)
    """Width of the white line between them, in pixels."""
    wipe_s: float = Field(default=4.0, ge=0)
    """How long the line of a wipe takes from left to right and back, in seconds; at 0 it stays in
    the middle."""


class Compare(MapNode[CompareConfig]):
    """Puts the version before and the version after into one picture, as a viewer sees it.

    Left, right, top and bottom are those of the video as it is shown (`VideoInfo.rotation_deg`).
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.compare",
        summary="show a video before and after in one picture: side by side, or as a wipe",
        inputs=(Port("before", Frame), Port("after", Frame)),
        outputs=(Port("frames", Frame),),
    )
    Config: ClassVar[type[NodeConfig]] = CompareConfig

    def __init__(self, config: CompareConfig) -> None:
        super().__init__(config)
        self._layout = pixel_layout("yuv420p")
        self._axis, self._backwards = _ACROSS[0]
        self._white = 235
        self._seconds_per_tick = 1.0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with its new size.

        Raises:
            NodeConfigError: the two differ in size or pixel format.
            UnsupportedFormatError: the pixel format cannot be edited in place.
        """
        del segment
        before, after = inputs["before"], inputs["after"]
        if _kind(before) != _kind(after):
            raise NodeConfigError(
                f"compare: the frames before are {_kind(before)}, those after {_kind(after)},"
                " expected the same: enlarge those before by an aminet.paste of strength 0 (as the"
                " graph compare does), or bring both to one size by aminet.resize"
            )
        axes = _DOWN if self.config.layout == "stacked" else _ACROSS
        self._axis, self._backwards = axes[after.rotation_deg]
        self._layout = layout = pixel_layout(after.pix_fmt)
        _, full = resolve_color(after.color, layout, after.height_px)
        depth = layout.bit_depth
        self._white = (1 << depth) - 1 if full else 235 << (depth - 8)
        self._seconds_per_tick = float(after.time_base)
        return self.announce(inputs)

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with its new size."""
        info = inputs["after"]
        if self.config.layout == "wipe":
            return info
        axes = _DOWN if self.config.layout == "stacked" else _ACROSS
        axis, _ = axes[info.rotation_deg]
        size = [info.width_px, info.height_px]
        size[axis] += self._start_of_second(pixel_layout(info.pix_fmt), size[axis], axis)
        return replace(info, width_px=size[0], height_px=size[1])

    def process(self, inputs: Inputs) -> Outputs:
        """Make one picture of two."""
        before, after = inputs.get("before", Frame), inputs.get("after", Frame)
        first, second = before.picture, after.picture
        if self._backwards:
            first, second = second, first
        if self.config.layout == "wipe":
            picture = self._wiped(first, second, after.pts)
        else:
            picture = self._beside(first, second)
        return {"frames": replace(after, picture=picture)}

    def _start_of_second(self, layout: PixelLayout, length_px: int, axis: int) -> int:
        """Return where the second picture starts: after the line, at a whole chroma sample."""
        return _aligned_up(length_px + self.config.line_px, layout, axis)

    def _beside(self, first: av.VideoFrame, second: av.VideoFrame) -> av.VideoFrame:
        size = [first.width, first.height]
        length_px, axis = size[self._axis], self._axis
        start_px = self._start_of_second(self._layout, length_px, axis)
        size[axis] += start_px
        picture = av.VideoFrame(size[0], size[1], self._layout.pix_fmt)
        copy_tags(second, picture)
        self._draw_line(picture, length_px, start_px)
        for source, offset_px in ((first, 0), (second, start_px)):
            region = _moved((0, 0, source.width, source.height), axis, offset_px)
            for index in range(len(source.planes)):
                samples = plane_samples(source, self._layout, index)
                region_samples(picture, self._layout, index, region)[:] = samples
        return picture

    def _wiped(self, first: av.VideoFrame, second: av.VideoFrame, pts: int) -> av.VideoFrame:
        length_px = (second.width, second.height)[self._axis]
        share = self._share(pts * self._seconds_per_tick)
        share = 1 - share if self._backwards else share
        line_px = _aligned_up(self.config.line_px, self._layout, self._axis)
        cut_px = _aligned_up(round(share * length_px) - line_px // 2, self._layout, self._axis)
        picture = copy_picture(second)
        cut_px = min(max(cut_px, 0), length_px)
        region = [0, 0, second.width, second.height]
        region[2 + self._axis] = cut_px
        x0, y0, x1, y1 = region
        if cut_px > 0:
            for index in range(len(first.planes)):
                part = region_samples(first, self._layout, index, (x0, y0, x1, y1))
                region_samples(picture, self._layout, index, (x0, y0, x1, y1))[:] = part
        self._draw_line(picture, cut_px, min(cut_px + line_px, length_px))
        return picture

    def _share(self, time_s: float) -> float:
        """Return how far the line of a wipe has come, 0 to 1."""
        if self.config.wipe_s == 0:
            return 0.5
        turn = (time_s / self.config.wipe_s) % 1
        return 1 - abs(2 * turn - 1)

    def _draw_line(self, picture: av.VideoFrame, start_px: int, end_px: int) -> None:
        step_px = 1 << (self._layout.log2_sub_x, self._layout.log2_sub_y)[self._axis]
        # Its chroma begins with the sample that the picture before it may share.
        start_px -= start_px % step_px
        if start_px >= end_px:
            return
        region = [0, 0, picture.width, picture.height]
        region[self._axis], region[2 + self._axis] = start_px, end_px
        x0, y0, x1, y1 = region
        middle = 1 << (self._layout.bit_depth - 1)
        for index in range(len(picture.planes)):
            code = (middle if index else self._white) << self._layout.shift
            samples = region_samples(picture, self._layout, index, (x0, y0, x1, y1))
            samples[:] = np.asarray(code, samples.dtype)


def _kind(info: VideoInfo) -> str:
    return f"{info.width_px}x{info.height_px} {info.pix_fmt}"


def _moved(region: Region, axis: int, by_px: int) -> Region:
    x, y = (by_px, 0) if axis == 0 else (0, by_px)
    x0, y0, x1, y1 = region
    return x0 + x, y0 + y, x1 + x, y1 + y


def _aligned_up(length_px: int, layout: PixelLayout, axis: int) -> int:
    step_px = 1 << (layout.log2_sub_x, layout.log2_sub_y)[axis]
    return -(-length_px // step_px) * step_px
