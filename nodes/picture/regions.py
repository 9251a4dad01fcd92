"""Converting regions of a frame to RGB, and copying frames.

Frames are not converted as a whole: only the region around a face is converted by swscale, and the
residual is added in Y/Cb/Cr (`nodes.picture.residual`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from nodes.picture.layout import (
    PixelLayout,
    Region,
    Values,
    chroma_siting,
    pixel_layout,
    plane_codes,
    plane_samples,
    plane_slices,
    resolve_color,
)
from nodes.picture.view import PictureView
from nodes.values import ColorTags, RgbImage

__all__ = ["RegionReader", "copy_picture", "copy_samples", "copy_tags", "luma_samples"]


_READ_FLAGS: Final = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)
_STRIP_ROWS: Final = 256


def copy_picture(picture: av.VideoFrame) -> av.VideoFrame:
    """Copy a picture's planes, times and colour tags.

    `pict_type` is not copied, because encoders would use it.
    """
    copy = av.VideoFrame(picture.width, picture.height, picture.format.name)
    copy_samples(picture, copy)
    copy_tags(picture, copy)
    return copy


def copy_samples(picture: av.VideoFrame, copy: av.VideoFrame) -> None:
    """Copy a picture's planes into those of another one of the same size and format."""
    for plane, source in zip(copy.planes, picture.planes, strict=True):
        if plane.line_size == source.line_size:
            plane.update(cast("bytes", source))
        else:
            used = min(plane.line_size, source.line_size)
            plane_codes(plane, np.uint8)[:, :used] = plane_codes(source, np.uint8)[:, :used]


def copy_tags(picture: av.VideoFrame, copy: av.VideoFrame) -> None:
    """Copy the times and colour tags of one picture to another."""
    copy.pts, copy.dts, copy.duration = picture.pts, picture.dts, picture.duration
    if picture.time_base is not None:
        copy.time_base = picture.time_base
    copy.colorspace, copy.color_range = picture.colorspace, picture.color_range
    copy.color_primaries, copy.color_trc = picture.color_primaries, picture.color_trc


def luma_samples(picture: av.VideoFrame, step_px: int) -> Values:
    """Return every `step_px`-th luma sample in both directions, scaled to 0 to 1; (rows, columns).

    Fast, because it reads the plane directly.
    """
    layout = pixel_layout(picture.format.name)
    luma = plane_samples(picture, layout, 0)[::step_px, ::step_px]
    return luma.astype(np.float32) / np.float32(((1 << layout.bit_depth) - 1) << layout.shift)


class RegionReader:
    """Converts regions of pictures of one stream to RGB.

    Use one for each thread and stream. Cannot be pickled.
    """

    def __init__(self, color: ColorTags) -> None:
        self._color = color
        self._scaler = VideoReformatter()
        self._sizer = VideoReformatter()
        self._blank: av.VideoFrame | None = None
        # Not interlaced, because regions of interlaced pictures are converted as frames.
        self._plain = PictureView("prog")
        self._sited = PictureView("prog", chroma_siting(color)[0])

    def rgb(self, picture: av.VideoFrame, region_xyxy_px: Region) -> RgbImage:
        """Convert a region, keeping its size and bit depth.

        Args:
            picture: any supported pixel format.
            region_xyxy_px: inside the picture, aligned to its chroma grid.

        Returns:
            Shape (height, width, 3): uint8 in 0..255 for 8-bit video, else uint16 in
            0..2**bit_depth - 1.
        """
        layout = pixel_layout(picture.format.name)
        small = self._cut(picture, layout, region_xyxy_px, sited=True)
        if layout.bit_depth == 8:
            return self._convert(small, small.width, small.height, "rgb24", _READ_FLAGS)
        rgb48 = self._convert(small, small.width, small.height, "rgb48le", _READ_FLAGS)
        top = (1 << layout.bit_depth) - 1
        # In place and by strips, because wider copies of a large picture would take gigabytes.
        for start in range(0, small.height, _STRIP_ROWS):
            rows = slice(start, start + _STRIP_ROWS)
            rgb48[rows] = (rgb48[rows].astype(np.uint32) * top + 32767) // 65535
        return rgb48

    def thumbnail(
        self, picture: av.VideoFrame, region_xyxy_px: Region, width_px: int, height_px: int
    ) -> npt.NDArray[np.uint8]:
        """Convert a region to 8-bit RGB of another size; shape (height_px, width_px, 3).

        Chroma may be off by half a pixel, which is faster and does not matter for detection.
        """
        layout = pixel_layout(picture.format.name)
        small = self._cut(picture, layout, region_xyxy_px, sited=False)
        shrinks = width_px < small.width
        flags = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        return self._convert(small, width_px, height_px, "rgb24", flags).astype(
            np.uint8, copy=False
        )

    def _cut(
        self, picture: av.VideoFrame, layout: PixelLayout, region: Region, *, sited: bool
    ) -> av.VideoFrame:
        """Return a region as a picture with colour tags, and with the chroma siting if `sited`."""
        gray = layout.chroma == "none"
        if region == (0, 0, picture.width, picture.height) and not gray:
            small = (self._sited if sited else self._plain).of(picture)
        else:
            small = self._copied(picture, layout, region, self._marked if sited else av.VideoFrame)
        small.colorspace, full = resolve_color(self._color, layout, picture.height)
        small.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        return small

    def _copied(
        self,
        picture: av.VideoFrame,
        layout: PixelLayout,
        region: Region,
        blank: Callable[[int, int, str], av.VideoFrame],
    ) -> av.VideoFrame:
        x0, y0, x1, y1 = region
        # swscale takes gray formats as full range; with neutral chroma it uses the given range.
        small = blank(x1 - x0, y1 - y0, layout.pix_fmt.replace("gray", "yuv444p"))
        if layout.chroma == "none":
            for plane in small.planes[1:]:
                plane_codes(plane, layout.dtype)[:] = 1 << (layout.bit_depth - 1)
        for index in range(len(picture.planes)):
            rows, columns = plane_slices(layout, index, region)
            plane_samples(small, layout, index)[:] = plane_samples(picture, layout, index)[
                rows, columns
            ]
        return small

    def _marked(self, width_px: int, height_px: int, pix_fmt: str) -> av.VideoFrame:
        """Return an empty picture with the chroma siting set.

        The siting can be set only by a filter, whose set-up for each size of region takes ten times
        as long as scaling a tiny picture that has the siting.
        """
        if self._blank is None or self._blank.format.name != pix_fmt:
            blank = av.VideoFrame(8, 8, pix_fmt)
            self._blank = PictureView(chroma=chroma_siting(self._color)[0]).of(blank)
        return self._sizer.reformat(
            self._blank, width_px, height_px, interpolation=Interpolation.POINT, threads=1
        )

    def _convert(
        self, small: av.VideoFrame, width_px: int, height_px: int, pix_fmt: str, flags: int
    ) -> RgbImage:
        # By default swscale starts a thread for each core.
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
        rows = plane_codes(plane, dtype)[:, : 3 * width_px]
        return rows.reshape(height_px, width_px, 3)
