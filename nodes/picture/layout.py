"""Where a pixel format keeps its samples, and views of them that copy nothing.

Convention: regions are half open `xyxy_px` in luma pixels, aligned to the chroma grid or ending at
the frame's edge. Codes are those of the stream's bit depth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange

from nodes.errors import UnsupportedFormatError
from nodes.values import Box, ColorTags

__all__ = [
    "LUMA_WEIGHTS",
    "PixelLayout",
    "Region",
    "Samples",
    "Values",
    "align_region",
    "chroma_samples",
    "chroma_siting",
    "pixel_layout",
    "plane_codes",
    "plane_samples",
    "plane_slices",
    "region_samples",
    "resolve_color",
]

Region = tuple[int, int, int, int]
"""Half-open box x0, y0, x1, y1 in luma pixels."""

Values = npt.NDArray[np.float32]
"""Codes, or what is added to them, to reckon with."""

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Codes as a plane stores them."""

LUMA_WEIGHTS: Final[dict[int, tuple[float, float]]] = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""AVCOL_SPC_* -> red and blue weights of luma (ITU-T H.273)."""

_NOT_YCBCR: Final = {0: "RGB", 8: "YCgCo", 11: "Y'D'zD'x", 14: "ICtCp"}

_SUBSAMPLING: Final = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0)}


_CHROMA_SITINGS: Final = {
    1: ("left", 0.0, 0.5),
    2: ("center", 0.5, 0.5),
    3: ("topleft", 0.0, 0.0),
    4: ("top", 0.5, 0.0),
    5: ("bottomleft", 0.0, 1.0),
    6: ("bottom", 0.5, 1.0),
}
"""AVCHROMA_LOC_* -> see `chroma_siting`."""


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """Where a pixel format keeps its samples."""

    pix_fmt: str
    bit_depth: int
    shift: int
    """Bits below the value in each sample word (P010 keeps 10 bits at the top of 16)."""
    chroma: Literal["none", "planar", "uv", "vu"]
    """No chroma, two planes, or one plane of interleaved pairs."""
    log2_sub_x: int
    """Chroma is 2**this times narrower than luma."""
    log2_sub_y: int
    full_range_by_name: bool
    """True for the `yuvj` formats, whose name means full range."""

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type of one stored sample."""
        return np.uint8 if self.bit_depth == 8 else np.uint16


@cache
def pixel_layout(pix_fmt: str) -> PixelLayout:
    """Return the layout of a pixel format.

    Raises:
        UnsupportedFormatError: for a format that is not Y/Cb/Cr or gray, little endian, 8 to 16
            bits, without alpha.
    """
    if m := re.fullmatch(r"yuv(j?)(420|422|444|440|411)p(?:(9|10|12|14|16)le)?", pix_fmt):
        depth, sub = int(m[3] or 8), _SUBSAMPLING[m[2]]
        return PixelLayout(pix_fmt, depth, 0, "planar", *sub, bool(m[1]))
    if m := re.fullmatch(r"gray(?:(9|10|12|14|16)le)?", pix_fmt):
        return PixelLayout(pix_fmt, int(m[1] or 8), 0, "none", 0, 0, False)
    if m := re.fullmatch(r"nv(12|21|16|24)", pix_fmt):
        sub = _SUBSAMPLING[{"16": "422", "24": "444"}.get(m[1], "420")]
        return PixelLayout(pix_fmt, 8, 0, "vu" if m[1] == "21" else "uv", *sub, False)
    if m := re.fullmatch(r"p([024])(10|12|16)le", pix_fmt):
        sub, depth = _SUBSAMPLING[{"0": "420", "2": "422", "4": "444"}[m[1]]], int(m[2])
        return PixelLayout(pix_fmt, depth, 16 - depth, "uv", *sub, False)
    raise UnsupportedFormatError(
        f"pixel format {pix_fmt!r} cannot be edited in place; expected planar or semi-planar"
        " Y/Cb/Cr or gray, little endian, without alpha (such as yuv420p, yuv422p10le, nv12,"
        " p010le): convert the video to one of these first"
    )


def resolve_color(color: ColorTags, layout: PixelLayout, height_px: int) -> tuple[int, bool]:
    """Return the matrix (AVCOL_SPC_*) and whether the range is full, guessing what is untagged.

    Untagged video below 720 lines is BT.601, else BT.709, and limited, as players assume.

    Raises:
        UnsupportedFormatError: the matrix is not of the Y/Cb/Cr kind.
    """
    if color.matrix in _NOT_YCBCR and layout.chroma != "none":
        raise UnsupportedFormatError(
            f"colour matrix {color.matrix} ({_NOT_YCBCR[color.matrix]}) is not Y/Cb/Cr; expected"
            f" one of {sorted(LUMA_WEIGHTS)}: convert the video to BT.709 first"
        )
    guess = 5 if height_px < 720 else 1
    matrix = color.matrix if color.matrix in LUMA_WEIGHTS else guess
    return matrix, color.range == ColorRange.JPEG or layout.full_range_by_name


def chroma_siting(color: ColorTags) -> tuple[str, float, float]:
    """Return where subsampled chroma lies, unspecified on the left, as players assume.

    Returns:
        libav's name of it, and its distance from the first luma sample of its block, right and
        down: 0 on that sample, 0.5 in the middle, 1 on the last sample.
    """
    return _CHROMA_SITINGS.get(color.chroma, _CHROMA_SITINGS[1])


def align_region(xyxy_px: Box, layout: PixelLayout, width_px: int, height_px: int) -> Region | None:
    """Grow a box to whole chroma samples and clip it to the frame; None when nothing is left."""
    step_x, step_y = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    x0 = max(0, int(np.floor(xyxy_px[0] / step_x)) * step_x)
    y0 = max(0, int(np.floor(xyxy_px[1] / step_y)) * step_y)
    x1 = min(width_px, int(np.ceil(xyxy_px[2] / step_x)) * step_x)
    y1 = min(height_px, int(np.ceil(xyxy_px[3] / step_y)) * step_y)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def plane_codes(plane: VideoPlane, dtype: type[np.uint8] | type[np.uint16]) -> npt.NDArray[Any]:
    """View a whole plane, line padding and all; writing to it changes the picture."""
    buffer = cast("memoryview[int]", plane)
    return np.frombuffer(buffer, dtype).reshape(-1, plane.line_size // dtype().itemsize)


def plane_samples(picture: av.VideoFrame, layout: PixelLayout, index: int) -> Samples:
    """View one plane without its line padding; (H, W) or, with interleaved chroma, (H, W, 2)."""
    plane = picture.planes[index]
    rows: Samples = plane_codes(plane, layout.dtype)
    if index == 0:
        return rows[: picture.height, : picture.width]
    width = -(-picture.width >> layout.log2_sub_x)
    if layout.chroma == "planar":
        return rows[:, :width]
    return rows[:, : 2 * width].reshape(rows.shape[0], width, 2)


def plane_slices(layout: PixelLayout, index: int, region: Region) -> tuple[slice, slice]:
    """Return the rows and columns of a plane that a region covers; index 0 is luma."""
    x0, y0, x1, y1 = region
    if index == 0:
        return slice(y0, y1), slice(x0, x1)
    return (
        slice(y0 >> layout.log2_sub_y, -(-y1 >> layout.log2_sub_y)),
        slice(x0 >> layout.log2_sub_x, -(-x1 >> layout.log2_sub_x)),
    )


def region_samples(
    picture: av.VideoFrame, layout: PixelLayout, index: int, region: Region
) -> Samples:
    """Return a writable view of one plane over a region, shaped as by `plane_samples`."""
    return plane_samples(picture, layout, index)[plane_slices(layout, index, region)]


def chroma_samples(
    picture: av.VideoFrame, layout: PixelLayout, region: Region
) -> tuple[Samples, Samples]:
    """Return writable views of Cb and Cr over a region."""
    if layout.chroma == "planar":
        return region_samples(picture, layout, 1, region), region_samples(
            picture, layout, 2, region
        )
    pair = region_samples(picture, layout, 1, region)
    first, second = pair[..., 0], pair[..., 1]
    return (second, first) if layout.chroma == "vu" else (first, second)
