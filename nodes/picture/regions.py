"""Reading and changing small regions of a frame in the decoder's own planes.

A 1080p frame is never converted whole: the region around a face is copied out and converted by
swscale, and what AMINet adds to it goes back as a Y/Cb/Cr residual. YUV is linear in RGB, so this
needs no RGB round trip, and a sample whose residual is 0 keeps its code value bit for bit.

Convention: pixel centres at +0.5, regions half open `xyxy_px` in luma pixels, aligned to the
chroma grid or ending at the frame's edge. Codes are those of the stream's bit depth.
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
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from nodes.errors import UnsupportedFormatError
from nodes.types import ColorTags, RgbImage

__all__ = [
    "PixelLayout",
    "Region",
    "RegionReader",
    "add_rgb_residual",
    "align_region",
    "copy_picture",
    "luma_samples",
    "pixel_layout",
    "resolve_color",
]

Region = tuple[int, int, int, int]
"""Half-open box x0, y0, x1, y1 in luma pixels."""

Values = npt.NDArray[np.float32]

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_LUMA_WEIGHTS: Final[dict[int, tuple[float, float]]] = {
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

_READ_FLAGS: Final = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)


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
            f" one of {sorted(_LUMA_WEIGHTS)}: convert the video to BT.709 first"
        )
    guess = 5 if height_px < 720 else 1
    matrix = color.matrix if color.matrix in _LUMA_WEIGHTS else guess
    return matrix, color.range == ColorRange.JPEG or layout.full_range_by_name


def align_region(
    xyxy_px: tuple[float, float, float, float], layout: PixelLayout, width_px: int, height_px: int
) -> Region | None:
    """Grow a box to whole chroma samples and clip it to the frame; None when nothing is left."""
    step_x, step_y = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    x0 = max(0, int(np.floor(xyxy_px[0] / step_x)) * step_x)
    y0 = max(0, int(np.floor(xyxy_px[1] / step_y)) * step_y)
    x1 = min(width_px, int(np.ceil(xyxy_px[2] / step_x)) * step_x)
    y1 = min(height_px, int(np.ceil(xyxy_px[3] / step_y)) * step_y)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def copy_picture(picture: av.VideoFrame) -> av.VideoFrame:
    """Copy a picture's planes, timing and colour tags, so that the original can be left alone.

    The copy's `pict_type` is unset: an encoder would take it as an order.
    """
    copy = av.VideoFrame(picture.width, picture.height, picture.format.name)
    for plane, source in zip(copy.planes, picture.planes, strict=True):
        if plane.line_size == source.line_size:
            plane.update(cast("bytes", source))
        else:
            used = min(plane.line_size, source.line_size)
            _codes(plane, np.uint8)[:, :used] = _codes(source, np.uint8)[:, :used]
    copy.pts, copy.dts, copy.duration = picture.pts, picture.dts, picture.duration
    if picture.time_base is not None:
        copy.time_base = picture.time_base
    copy.colorspace, copy.color_range = picture.colorspace, picture.color_range
    copy.color_primaries, copy.color_trc = picture.color_primaries, picture.color_trc
    return copy


def luma_samples(picture: av.VideoFrame, step_px: int) -> Values:
    """Return every `step_px`-th luma sample both ways, over the largest code: 0 to 1.

    Cheap enough for every frame: it reads the plane where it lies and converts nothing.
    """
    layout = pixel_layout(picture.format.name)
    luma = _plane(picture, layout, 0)[::step_px, ::step_px]
    return luma.astype(np.float32) / np.float32(((1 << layout.bit_depth) - 1) << layout.shift)


class RegionReader:
    """Converts regions of pictures of one stream to RGB.

    Keeps swscale's context, so each thread and stream has its own; does not pickle.
    """

    def __init__(self, color: ColorTags) -> None:
        self._color = color
        self._scaler = VideoReformatter()

    def rgb(self, picture: av.VideoFrame, region_xyxy_px: Region) -> RgbImage:
        """Convert one region at its own size and bit depth.

        Args:
            picture: any supported pixel format.
            region_xyxy_px: inside the picture, aligned to its chroma grid.

        Returns:
            Shape (height, width, 3): uint8 in 0..255 for 8-bit video, else uint16 in
            0..2**bit_depth - 1.
        """
        layout = pixel_layout(picture.format.name)
        small = self._cut(picture, layout, region_xyxy_px)
        if layout.bit_depth == 8:
            return self._convert(small, small.width, small.height, "rgb24", _READ_FLAGS)
        rgb48 = self._convert(small, small.width, small.height, "rgb48le", _READ_FLAGS)
        top = (1 << layout.bit_depth) - 1
        return ((rgb48.astype(np.uint32) * top + 32767) // 65535).astype(np.uint16)

    def thumbnail(
        self, picture: av.VideoFrame, region_xyxy_px: Region, width_px: int, height_px: int
    ) -> npt.NDArray[np.uint8]:
        """Convert one region to 8-bit RGB of another size; shape (height_px, width_px, 3)."""
        small = self._cut(picture, pixel_layout(picture.format.name), region_xyxy_px)
        shrinks = width_px < small.width
        flags = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        return self._convert(small, width_px, height_px, "rgb24", flags).astype(
            np.uint8, copy=False
        )

    def _cut(self, picture: av.VideoFrame, layout: PixelLayout, region: Region) -> av.VideoFrame:
        x0, y0, x1, y1 = region
        gray = layout.chroma == "none"
        # swscale takes every gray format as full range; with neutral chroma it heeds the range.
        pix_fmt = layout.pix_fmt.replace("gray", "yuv444p") if gray else layout.pix_fmt
        small = av.VideoFrame(x1 - x0, y1 - y0, pix_fmt)
        small.colorspace, full = resolve_color(self._color, layout, picture.height)
        small.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        if gray:
            for plane in small.planes[1:]:
                _codes(plane, layout.dtype)[:] = 1 << (layout.bit_depth - 1)
        for index in range(len(picture.planes)):
            rows, columns = _plane_slices(layout, index, region)
            _plane(small, layout, index)[:] = _plane(picture, layout, index)[rows, columns]
        return small

    def _convert(
        self, small: av.VideoFrame, width_px: int, height_px: int, pix_fmt: str, flags: int
    ) -> RgbImage:
        # swscale starts a thread for each core unless told otherwise.
        image = self._scaler.reformat(
            small,
            width_px,
            height_px,
            pix_fmt,
            interpolation=flags,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        dtype = np.uint16 if pix_fmt == "rgb48le" else np.uint8
        (plane,) = image.planes
        rows = _codes(plane, dtype)[:, : 3 * width_px]
        return rows.reshape(height_px, width_px, 3)


def add_rgb_residual(
    picture: av.VideoFrame,
    region_xyxy_px: Region,
    residual: npt.NDArray[np.floating],
    color: ColorTags,
) -> None:
    """Add an RGB residual to a region of `picture`, in place, in its own Y/Cb/Cr samples.

    Where the residual is 0 in a whole chroma block the samples stay as they are. Sums are
    rounded and kept in the legal range, unless the sample was already outside it: footroom and
    headroom of the source are no worse afterwards, and not cut either.

    Args:
        picture: changed in place: see `copy_picture`.
        region_xyxy_px: inside the picture, aligned to its chroma grid.
        residual: shape (height, width, 3) of the region, in units of full RGB scale.
        color: the stream's tags.
    """
    layout = pixel_layout(picture.format.name)
    matrix, full = resolve_color(color, layout, picture.height)
    weight_r, weight_b = _LUMA_WEIGHTS[matrix]
    changed = _changed_part(residual, region_xyxy_px, layout)
    if changed is None:
        return
    region, (red, green, blue) = changed
    luma: Values = weight_r * red + (1 - weight_r - weight_b) * green + weight_b * blue
    touched = (red != 0) | (green != 0) | (blue != 0)
    unit, top = 1 << (layout.bit_depth - 8), (1 << layout.bit_depth) - 1
    legal = (0, top) if full else (16 * unit, 235 * unit)
    gain = top if full else 219 * unit
    _add(_view(picture, layout, 0, region), luma * gain, touched, legal, layout.shift)
    if layout.chroma == "none":
        return
    legal = (0, top) if full else (16 * unit, 240 * unit)
    gain = top if full else 224 * unit
    blocks = _subsampled(touched.astype(np.float32), layout, sited=False) > 0
    changes = (
        (blue - luma) * (gain / (2 - 2 * weight_b)),
        (red - luma) * (gain / (2 - 2 * weight_r)),
    )
    for view, change in zip(_chroma_views(picture, layout, region), changes, strict=True):
        _add(view, _subsampled(change, layout, sited=True), blocks, legal, layout.shift)


def _changed_part(
    residual: npt.NDArray[np.floating], region: Region, layout: PixelLayout
) -> tuple[Region, Values] | None:
    """Return the part of a region with all of the residual, and that residual as (3, H, W)."""
    changes = residual != 0
    rows, columns = (np.flatnonzero(changes.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    if not rows.size:
        return None
    x0, y0, x1, y1 = region
    # One chroma sample more on each side: it is a mean of pixels that reach beyond its block.
    grown_x, grown_y = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    left = max(0, columns[0] - grown_x) >> layout.log2_sub_x << layout.log2_sub_x
    above = max(0, rows[0] - grown_y) >> layout.log2_sub_y << layout.log2_sub_y
    right = min(x1 - x0, -(-(columns[-1] + 1 + grown_x) // grown_x) * grown_x)
    below = min(y1 - y0, -(-(rows[-1] + 1 + grown_y) // grown_y) * grown_y)
    part = residual[above:below, left:right].transpose(2, 0, 1)
    box = (x0 + int(left), y0 + int(above), x0 + int(right), y0 + int(below))
    return box, np.ascontiguousarray(part, np.float32)


def _add(
    samples: Samples,
    change: Values,
    touched: npt.NDArray[np.bool_],
    legal: tuple[int, int],
    shift: int,
) -> None:
    codes = (samples >> shift).astype(np.float32)
    low, high = np.minimum(codes, legal[0]), np.maximum(codes, legal[1])
    summed = np.clip(np.rint(codes + change), low, high).astype(samples.dtype) << shift
    np.copyto(samples, summed, where=touched)


def _subsampled(values: Values, layout: PixelLayout, *, sited: bool) -> Values:
    """Average (H, W) down to the chroma grid; the last block is completed by repetition.

    MPEG puts 4:2:0 and 4:2:2 chroma on the even luma columns (JPEG between them), so with `sited`
    a chroma sample is the [1 2 1] of the luma pixels around it, not the mean of a pair.
    """
    step_x, step_y = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    height, width = values.shape
    values = np.pad(values, ((0, -height % step_y), (0, -width % step_x)), mode="edge")
    if sited and step_x == 2 and not layout.full_range_by_name:
        left = np.concatenate([values[:, :1], values[:, 1:-1:2]], axis=1)
        values = (left + 2 * values[:, ::2] + values[:, 1::2]) * np.float32(0.25)
        step_x = 1
    columns = np.add.reduce([values[:, i::step_x] for i in range(step_x)])
    return np.add.reduce([columns[i::step_y] for i in range(step_y)]) / (step_x * step_y)


def _codes(plane: VideoPlane, dtype: type[np.uint8] | type[np.uint16]) -> npt.NDArray[Any]:
    """View a whole plane, line padding and all; writing to it changes the picture."""
    buffer = cast("memoryview[int]", plane)
    return np.frombuffer(buffer, dtype).reshape(-1, plane.line_size // dtype().itemsize)


def _plane(picture: av.VideoFrame, layout: PixelLayout, index: int) -> Samples:
    """View one plane without its line padding; (H, W) or, with interleaved chroma, (H, W, 2)."""
    plane = picture.planes[index]
    rows: Samples = _codes(plane, layout.dtype)
    if index == 0:
        return rows[: picture.height, : picture.width]
    width = -(-picture.width >> layout.log2_sub_x)
    if layout.chroma == "planar":
        return rows[:, :width]
    return rows[:, : 2 * width].reshape(rows.shape[0], width, 2)


def _plane_slices(layout: PixelLayout, index: int, region: Region) -> tuple[slice, slice]:
    x0, y0, x1, y1 = region
    if index == 0:
        return slice(y0, y1), slice(x0, x1)
    return (
        slice(y0 >> layout.log2_sub_y, -(-y1 >> layout.log2_sub_y)),
        slice(x0 >> layout.log2_sub_x, -(-x1 >> layout.log2_sub_x)),
    )


def _view(picture: av.VideoFrame, layout: PixelLayout, index: int, region: Region) -> Samples:
    return _plane(picture, layout, index)[_plane_slices(layout, index, region)]


def _chroma_views(
    picture: av.VideoFrame, layout: PixelLayout, region: Region
) -> tuple[Samples, Samples]:
    """Return writable views of Cb and Cr over a region."""
    if layout.chroma == "planar":
        return _view(picture, layout, 1, region), _view(picture, layout, 2, region)
    pair = _view(picture, layout, 1, region)
    first, second = pair[..., 0], pair[..., 1]
    return (second, first) if layout.chroma == "vu" else (first, second)
