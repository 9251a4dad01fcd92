"""Pictures of a program as frames of a graph, and back.

A NumPy picture, and a PyAV frame in RGB, travels as Y'CbCr with 16 bits and full range: that holds
each 8-bit RGB value exactly, so that what no node changes comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from nodes.errors import MediaError
from nodes.media.open import clockwise_rotation_deg, top_field_first
from nodes.picture.layout import pixel_layout
from nodes.picture.rgb import picture_rgb, tags_of
from nodes.types import ColorTags, Frame, VideoInfo

__all__ = ["BgrImage", "FrameMaker"]

BgrImage = npt.NDArray[np.uint8]
"""OpenCV's order: shape (height, width, 3), blue first."""

_CARRIER: Final = "yuv444p16le"
_COLOR: Final = ColorTags(matrix=1, range=2)
_ARRAY: Final = "BGR array"
_PACKED: Final = frozenset({"rgb24", "bgr24"})
_EXACT: Final = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)
_CODEC: Final = "unknown"
"""Most pictures that programs hold come from a camera or a decoder: they count as lossy."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all pictures of a stream have in common."""

    name: str
    width_px: int
    height_px: int

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px} {self.name}"


class FrameMaker:
    """Turns the pictures of one stream into frames, and frames into pictures of the same kind."""

    def __init__(self, rate: Fraction) -> None:
        """Begin a stream; `rate` counts pictures a second, for those without times."""
        self._rate = rate
        self._kind: _Kind | None = None
        self._timed = False
        self._time_base = 1 / rate
        self._last_pts: int | None = None
        self._count = 0

    def info(self, first: BgrImage | av.VideoFrame, *, still: bool) -> VideoInfo:
        """Describe the stream by its first picture.

        Raises:
            MediaError: it is no picture.
            UnsupportedFormatError: its pixel format cannot be edited in place.
        """
        self._kind = _kind_of(first)
        of_video = isinstance(first, av.VideoFrame)
        self._timed = of_video and first.pts is not None
        if of_video and self._timed and first.time_base:
            self._time_base = first.time_base
        carried = self._kind.name in (*_PACKED, _ARRAY)
        pix_fmt = _CARRIER if carried else self._kind.name
        fields = of_video and first.interlaced_frame
        return VideoInfo(
            width_px=self._kind.width_px,
            height_px=self._kind.height_px,
            pix_fmt=pix_fmt,
            time_base=self._time_base,
            average_rate=self._rate,
            sample_aspect_ratio=Fraction(1),
            rotation_deg=clockwise_rotation_deg(first) if of_video else 0,
            color=_COLOR if carried else tags_of(cast("av.VideoFrame", first)),
            codec_name=_CODEC,
            bit_depth=pixel_layout(pix_fmt).bit_depth,
            still=still,
            interlaced=fields,
            top_field_first=not fields or top_field_first(cast("av.VideoFrame", first)),
        )

    def frame(self, picture: BgrImage | av.VideoFrame) -> Frame:
        """Return the next picture as a frame.

        Raises:
            MediaError: it is of another kind than the first, or not later than the one before.
        """
        kind, number = _kind_of(picture), self._count
        if kind != self._kind:
            raise MediaError(
                f"picture {number} is {kind}, the first was {self._kind}: a stream is of one kind;"
                " begin another"
            )
        pts, ticks = number, 1
        if self._timed:
            pts, ticks = self._pts(cast("av.VideoFrame", picture))
        self._count, self._last_pts = number + 1, pts
        if not isinstance(picture, av.VideoFrame):
            packed = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            return Frame(number, pts, ticks, _carried(packed))
        return Frame(number, pts, ticks, _carried(picture) if kind.name in _PACKED else picture)

    def picture(self, frame: Frame) -> BgrImage | av.VideoFrame:
        """Return a frame of the graph as the stream's pictures are."""
        name = "" if self._kind is None else self._kind.name
        if name in (*_PACKED, _ARRAY):
            rgb = picture_rgb(frame.picture, _COLOR)
            bgr = ((rgb[..., ::-1].astype(np.uint32) + 128) // 257).astype(np.uint8)
            if name == _ARRAY:
                return bgr
            made = av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(format=name)
        else:
            made = frame.picture
        if made.pts != frame.pts or made.time_base != self._time_base:
            made.pts, made.time_base = frame.pts, self._time_base
        return made

    def _pts(self, picture: av.VideoFrame) -> tuple[int, int]:
        if picture.pts is None or (self._last_pts is not None and picture.pts <= self._last_pts):
            raise MediaError(
                f"picture {self._count} has pts {picture.pts}, expected more than {self._last_pts}:"
                " give pictures in the order in which they are shown, or set the pts of all to None"
            )
        if picture.time_base and picture.time_base != self._time_base:
            raise MediaError(
                f"picture {self._count} has time base {picture.time_base}, expected that of the"
                f" first, {self._time_base}"
            )
        return picture.pts, picture.duration or 0


def _kind_of(picture: object) -> _Kind:
    if isinstance(picture, av.VideoFrame):
        if picture.format.name not in _PACKED:
            pixel_layout(picture.format.name)
        return _Kind(picture.format.name, picture.width, picture.height)
    if not isinstance(picture, np.ndarray):
        raise MediaError(
            f"got a {type(picture).__name__}, expected a NumPy array as OpenCV's (height, width, 3"
            " in the order blue, green, red; uint8) or an av.VideoFrame"
        )
    array = cast("npt.NDArray[Any]", picture)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise MediaError(
            f"got an array of shape {array.shape} and type {array.dtype}, expected (height, width,"
            f" 3) and uint8{_hint(array)}"
        )
    return _Kind(_ARRAY, array.shape[1], array.shape[0])


def _hint(array: npt.NDArray[Any]) -> str:
    hints: list[tuple[Callable[[], bool], str]] = [
        (lambda: array.ndim == 2, ": cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) makes one"),
        (
            lambda: array.ndim == 3 and array.shape[2] == 4,
            ": cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR) makes one",
        ),
        (lambda: array.ndim == 4, ": give several pictures to `stream`"),
        (lambda: array.dtype.kind == "f", ": (255 * picture).round().astype('uint8') makes one"),
    ]
    return next((hint for applies, hint in hints if applies()), "")


def _carried(packed: av.VideoFrame) -> av.VideoFrame:
    picture = packed.reformat(
        format=_CARRIER,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_EXACT,
        threads=1,
    )
    picture.colorspace, picture.color_range = _COLOR.matrix, _COLOR.range
    return picture
