"""The sink that a repetition ends in: nothing outside the named regions may differ.

It also compares what the output holds with what the repetition makes, picture by picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import av
import numpy as np
import numpy.typing as npt

from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.picture.layout import Region, pixel_layout, plane_samples, plane_slices
from nodes.picture.regions import RegionReader
from nodes.types import ColorTags, Frame, FrameChanges, VideoInfo

__all__ = ["BLOCK_PX", "CheckConfig", "CheckRepetition", "Compared"]

Steps = npt.NDArray[np.floating]
"""Differences of the samples of a plane, shape (height, width), or (height, width, 2)."""

BLOCK_PX: Final = 32
"""Side of the squares whose means are compared: coding changes them little, editing much."""


@dataclass(slots=True)
class Compared:
    """What was compared, and what differed."""

    frames: int = 0
    outside_pts: list[int] | None = None
    """Frames in which something outside the named regions is not as in a plain decode."""
    pictures: int = 0
    """Pictures of the output that were compared."""
    missing_pts: int | None = None
    """The first frame that the output has no picture of, or one of another size or format."""
    largest: int = 0
    """The greatest difference of a sample, in 8-bit levels."""
    block: float = 0.0
    """The greatest difference of the mean of a square of luma, in 8-bit levels."""
    block_pts: int | None = None
    """The frame where that is."""


class CheckConfig(NodeConfig):
    """Nothing to choose."""


class CheckRepetition(SinkNode[CheckConfig]):
    """Compares written pictures with plain ones, and with those of the output."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.verification",
        summary="compare what is written with a plain decode, and with the output's pictures",
        inputs=(Port("plain", Frame), Port("written", Frame), Port("changes", FrameChanges)),
    )
    Config: ClassVar[type[NodeConfig]] = CheckConfig
    endings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, picture_at: Callable[[int], av.VideoFrame | None], color: ColorTags) -> None:
        """Compare with pictures.

        Args:
            picture_at: the output's picture of the frame at a pts, None if there is none.
            color: of those.
        """
        super().__init__(CheckConfig())
        self._picture_at, self._color = picture_at, color
        self._colors: tuple[ColorTags, ColorTags] | None = None
        self.compared = Compared(outside_pts=[])

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Go on comparing: the counts are of the whole video."""
        del segment
        self._colors = inputs["written"].color, self._color
        return inputs["written"]

    def process(self, inputs: Inputs) -> None:
        """Compare one frame."""
        written = inputs.get("written", Frame).picture
        plain = inputs.get("plain", Frame).picture
        changes = inputs.get("changes", FrameChanges)
        regions = [*(face.region_xyxy_px for face in changes.faces), *changes.drawn]
        self.compared.frames += 1
        if written is not plain and _differs_outside(written, plain, regions):
            assert self.compared.outside_pts is not None  # noqa: S101 - for the type checker
            self.compared.outside_pts.append(inputs.pts)
        self._compare(inputs.pts, written, self._picture_at(inputs.pts))

    def finish(self) -> None:
        """See `SinkNode`: no file is written."""

    def report(self) -> dict[str, Any]:
        """See `Node`: everything is in `compared`."""
        return {}

    def _compare(self, pts: int, written: av.VideoFrame, picture: av.VideoFrame | None) -> None:
        compared = self.compared
        if picture is None or (picture.width, picture.height) != (written.width, written.height):
            compared.missing_pts = pts if compared.missing_pts is None else compared.missing_pts
            return
        compared.pictures += 1
        for index, step in enumerate(self._steps(written, picture)):
            compared.largest = max(compared.largest, round(float(np.abs(step).max())))
            if index == 0 and (block := _largest_block(step)) > compared.block:
                compared.block, compared.block_pts = block, pts

    def _steps(self, written: av.VideoFrame, picture: av.VideoFrame) -> Iterator[Steps]:
        """Yield the differences of each plane, luma (or green) first, in 8-bit levels."""
        assert self._colors is not None  # noqa: S101 - for the type checker
        layout = pixel_layout(written.format.name)
        if (picture.format.name, self._colors[1].range) == (
            written.format.name,
            self._colors[0].range,
        ):
            unit = 1 << (layout.bit_depth - 8)
            for index in range(len(written.planes)):
                codes = [
                    (plane_samples(each, layout, index) >> layout.shift).astype(np.float32)
                    for each in (written, picture)
                ]
                yield (codes[0] - codes[1]) / unit
            return
        whole = (0, 0, written.width, written.height)
        one, other = (
            RegionReader(color).rgb(each, whole).astype(np.float32)
            / (1 << (pixel_layout(each.format.name).bit_depth - 8))
            for each, color in zip((written, picture), self._colors, strict=True)
        )
        for channel in (1, 0, 2):
            yield one[..., channel] - other[..., channel]


def _largest_block(step: Steps) -> float:
    """Return the greatest mean of a square of a plane of differences."""
    rows, columns = (np.arange(0, size, BLOCK_PX) for size in step.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(step, rows, axis=0), columns, axis=1)
    heights, widths = (
        np.diff([*at, size]) for at, size in zip((rows, columns), step.shape[:2], strict=True)
    )
    return float(np.abs(sums / np.outer(heights, widths)).max())


def _differs_outside(written: av.VideoFrame, plain: av.VideoFrame, regions: list[Region]) -> bool:
    layout = pixel_layout(plain.format.name)
    if (written.width, written.height, written.format.name) != (
        plain.width,
        plain.height,
        plain.format.name,
    ):
        return True
    for index in range(len(plain.planes)):
        differs = plane_samples(written, layout, index) != plane_samples(plain, layout, index)
        for region in regions:
            differs[plane_slices(layout, index, region)] = False
        if differs.any():
            return True
    return False
