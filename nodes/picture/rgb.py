"""Whole pictures as RGB and back, for those who do not need the hot path to be cheap."""

from __future__ import annotations

from typing import Final, cast

import av
import numpy as np
import numpy.typing as npt

from nodes.picture.captions import Captions
from nodes.picture.layout import pixel_layout
from nodes.picture.regions import RegionReader, copy_picture
from nodes.picture.residual import add_rgb_residual
from nodes.values import ColorTags, RgbImage

__all__ = ["picture_rgb", "picture_with_rgb", "tags_of", "to_8_bit"]

_UNKNOWN_RANGE: Final = 0


def tags_of(picture: av.VideoFrame) -> ColorTags:
    """Return what a picture itself says of its colours; where chroma lies it cannot say."""
    return ColorTags(
        matrix=picture.colorspace,
        range=picture.color_range or _UNKNOWN_RANGE,
        primaries=picture.color_primaries,
        transfer=picture.color_trc,
    )


def picture_rgb(picture: av.VideoFrame, color: ColorTags) -> RgbImage:
    """Convert a whole picture to RGB.

    Args:
        picture: in a pixel format that can be edited in place.
        color: the video's tags.

    Returns:
        Shape (height, width, 3): uint8 in 0..255 for 8-bit video, else uint16 in
        0..2**bit_depth - 1.

    Raises:
        UnsupportedFormatError: the pixel format or the matrix cannot be edited in place.
    """
    rgb = RegionReader(color).rgb(picture, (0, 0, picture.width, picture.height))
    return cast("RgbImage", np.ascontiguousarray(rgb))


def picture_with_rgb(picture: av.VideoFrame, rgb: RgbImage, color: ColorTags) -> av.VideoFrame:
    """Return a picture of the same pixel format with other colours.

    Args:
        picture: stays as it is.
        rgb: of the shape and type that `picture_rgb` returns for it.
        color: the video's tags.

    Returns:
        A copy whose samples differ only where `rgb` differs from the picture's own; the picture
        itself if it differs nowhere.

    Raises:
        ValueError: `rgb` has another shape or type.
        UnsupportedFormatError: see `picture_rgb`.
    """
    own = picture_rgb(picture, color)
    if rgb.shape != own.shape or rgb.dtype != own.dtype:
        raise ValueError(
            f"got RGB of shape {rgb.shape} and type {rgb.dtype}, expected {own.shape} and"
            f" {own.dtype} for a picture of {picture.width} x {picture.height} pixels in"
            f" {picture.format.name}; a node that changes the size makes pictures of its own"
        )
    if np.array_equal(rgb, own):
        return picture
    top = np.float32((1 << pixel_layout(picture.format.name).bit_depth) - 1)
    residual = (rgb.astype(np.float32) - own.astype(np.float32)) / top
    copy = copy_picture(picture)
    add_rgb_residual(copy, (0, 0, picture.width, picture.height), residual, color)
    return Captions().carried(picture, copy)


def to_8_bit(rgb: RgbImage, bit_depth: int) -> npt.NDArray[np.uint8]:
    """Return the upper 8 bits of RGB with `bit_depth` bits, as uint8."""
    return (rgb >> (bit_depth - 8)).astype(np.uint8)
