"""Pixel formats that can be edited in place, and converting others to one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

import av
from av.codec.codec import PixFmtLoss, find_best_pix_fmt_of_list
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from nodes.errors import UnsupportedFormatError
from nodes.picture.layout import chroma_siting, pixel_layout
from nodes.picture.view import PictureView
from nodes.values import ColorTags

__all__ = ["PictureConverter", "bit_depth", "common_format", "editable_format", "nearest_format"]

_PREFERRED: Final = tuple(
    name + depth
    for depth in ("", "9le", "10le", "12le", "14le", "16le")
    for name in ("yuv420p", "yuv422p", "yuv444p", "gray")
)
"""Formats to which others are converted: planar, in all depths."""

_QUALITY: Final = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

_RESOLUTION_LOSS: Final = PixFmtLoss.RESOLUTION | PixFmtLoss.DEPTH | PixFmtLoss.CHROMA


def bit_depth(pix_fmt: str) -> int:
    """Return the bits of the deepest component of a pixel format."""
    return max(component.bits for component in VideoFormat(pix_fmt).components)


@cache
def editable_format(pix_fmt: str) -> str:
    """Return `pix_fmt` if it can be edited in place, else the nearest format that can.

    That has at least the same depth and chroma resolution; alpha is lost.

    Raises:
        UnsupportedFormatError: there is no such format, as for hardware surfaces.
    """
    try:
        return pixel_layout(pix_fmt).pix_fmt
    except UnsupportedFormatError:
        found = nearest_format(pix_fmt, _PREFERRED)
    if found is None:
        raise UnsupportedFormatError(
            f"pixel format {pix_fmt!r} has no Y/Cb/Cr equivalent of at least its depth and chroma"
            " resolution; convert the video first, for example to yuv444p16le"
        )
    return found


def nearest_format(pix_fmt: str, candidates: Iterable[str]) -> str | None:
    """Return the cheapest candidate that holds `pix_fmt` without loss except alpha, or None."""
    source = VideoFormat(pix_fmt)
    depth = max((component.bits for component in source.components), default=0)
    # Palettes, Bayer patterns and packed colours below 8 bits need full 8-bit colours.
    small_rgb = source.has_palette or source.is_bayer or (source.is_rgb and depth < 8)
    deep_enough = [name for name in candidates if bit_depth(name) >= min(depth, 16)]
    if not deep_enough:
        return None
    best, loss = find_best_pix_fmt_of_list(deep_enough, "rgb24" if small_rgb else pix_fmt)
    # No candidate is deeper than 16 bits, so that floating point loses some.
    forbidden = _RESOLUTION_LOSS if depth <= 16 else _RESOLUTION_LOSS & ~PixFmtLoss.DEPTH
    return None if best is None or loss & forbidden else best.name


def common_format(pix_fmts: Sequence[str]) -> str:
    """Return an editable format that holds all of `pix_fmts` without loss, the first's if it does.

    Raises:
        UnsupportedFormatError: there is none.
    """
    own = editable_format(pix_fmts[0])
    for name in (own, *_PREFERRED):
        if all(nearest_format(pix_fmt, [name]) for pix_fmt in pix_fmts):
            return name
    raise UnsupportedFormatError(
        f"no pixel format holds {', '.join(pix_fmts)}, between which the video changes; convert it"
        " to one of them first"
    )


class PictureConverter:
    """Converts pictures of one stream to one size and pixel format with swscale.

    Use one for each thread and stream. Cannot be pickled.
    """

    def __init__(self, width_px: int, height_px: int, pix_fmt: str, color: ColorTags) -> None:
        self._size_px = (width_px, height_px)
        self._pix_fmt = pix_fmt
        self._color = color
        self._scaler = VideoReformatter()
        self._view = PictureView(chroma=chroma_siting(color)[0])

    def convert(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return a converted copy with the stream's colour tags, or the picture if it fits."""
        width_px, height_px = self._size_px
        if (picture.width, picture.height, picture.format.name) == (*self._size_px, self._pix_fmt):
            return picture
        is_rgb = picture.format.is_rgb or picture.format.has_palette
        full_by_name = is_rgb or picture.format.name.startswith("yuvj")
        is_full = full_by_name or picture.color_range == ColorRange.JPEG
        target_full = self._color.range == ColorRange.JPEG or self._pix_fmt.startswith("yuvj")
        result = self._scaler.reformat(
            self._view.of(picture),
            width_px,
            height_px,
            self._pix_fmt,
            src_colorspace=None if is_rgb else _matrix(picture.colorspace, height_px),
            dst_colorspace=_matrix(self._color.matrix, height_px),
            src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if target_full else ColorRange.MPEG,
            interpolation=_QUALITY,
            # By default swscale starts a thread for each core.
            threads=1,
        )
        result.colorspace, result.color_range = self._color.matrix, self._color.range
        return result


def _matrix(tag: int, height_px: int) -> int:
    """Return swscale's number of a matrix, with players' default for untagged video."""
    if tag in (1, 4, 5, 6, 7, 9):
        return {6: 5, 10: 9}.get(tag, tag)
    return Colorspace.ITU601 if height_px < 720 else Colorspace.ITU709
