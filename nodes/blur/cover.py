"""Hiding a place in a picture, in the picture's own samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import av
import cv2
import numpy as np
import numpy.typing as npt

from nodes.picture.layout import (
    PixelLayout,
    Region,
    align_region,
    chroma_samples,
    pixel_layout,
    region_samples,
)
from nodes.types import Box

__all__ = ["Method", "Shape", "cover"]

Method = Literal["blur", "pixelate", "fill"]
Shape = Literal["oval", "box"]

_FEATHER: Final = 0.08
"""Width of an oval's soft edge, outside of it, over its radius."""


def cover(
    picture: av.VideoFrame, box_xyxy_px: Box, *, method: Method, shape: Shape, cells: int
) -> bool:
    """Hide what a box shows, in place.

    Args:
        picture: changed.
        box_xyxy_px: what to hide. An oval reaches the middles of its sides.
        method: `blur` and `pixelate` leave the mean colours of `cells` x `cells` parts, smoothly or
            not; `fill` leaves nothing, an even gray.
        shape: which part of the box.
        cells: see `method`.

    Returns:
        Whether any of the box is in the picture.
    """
    layout = pixel_layout(picture.format.name)
    soft = 1 + (_FEATHER if shape == "oval" else 0)
    x, y = (box_xyxy_px[0] + box_xyxy_px[2]) / 2, (box_xyxy_px[1] + box_xyxy_px[3]) / 2
    rx, ry = (box_xyxy_px[2] - box_xyxy_px[0]) / 2, (box_xyxy_px[3] - box_xyxy_px[1]) / 2
    outer = (x - soft * rx, y - soft * ry, x + soft * rx, y + soft * ry)
    region = align_region(outer, layout, picture.width, picture.height)
    if region is None:
        return False
    mask = _mask(region, (x, y, rx, ry), shape)
    gray = 1 << (layout.bit_depth - 1 + layout.shift)
    for samples in _planes(picture, layout, region):
        alpha = _sized(mask, samples.shape[1], samples.shape[0], cv2.INTER_AREA)
        before = samples.astype(np.float32)
        hidden = _coarse(before, method, cells) if method != "fill" else np.float32(gray)
        mixed = before + (hidden - before) * alpha
        samples[...] = np.rint(mixed).astype(samples.dtype) >> layout.shift << layout.shift
    return True


def _planes(
    picture: av.VideoFrame, layout: PixelLayout, region: Region
) -> Iterator[npt.NDArray[Any]]:
    yield region_samples(picture, layout, 0, region)
    if layout.chroma != "none":
        yield from chroma_samples(picture, layout, region)


def _mask(
    region: Region, oval: tuple[float, float, float, float], shape: Shape
) -> npt.NDArray[np.float32]:
    """Return how much of each pixel of a region is hidden."""
    x0, y0, x1, y1 = region
    if shape == "box":
        return np.ones((y1 - y0, x1 - x0), np.float32)
    x, y, rx, ry = oval
    across = (np.arange(x0, x1) + 0.5 - x) / max(rx, 0.5)
    down = (np.arange(y0, y1) + 0.5 - y) / max(ry, 0.5)
    distance = np.hypot(across[None, :], down[:, None])
    return np.clip((1 + _FEATHER - distance) / _FEATHER, 0, 1).astype(np.float32)


def _coarse(
    samples: npt.NDArray[np.float32], method: Method, cells: int
) -> npt.NDArray[np.float32]:
    """Return a region of which only the means of `cells` x `cells` parts are left."""
    height, width = samples.shape
    columns, rows = min(cells, width), min(cells, height)
    few = _sized(samples, columns, rows, cv2.INTER_AREA)
    back = cv2.INTER_NEAREST if method == "pixelate" else cv2.INTER_LINEAR
    return _sized(few, width, height, back)


def _sized(
    values: npt.NDArray[np.float32], width: int, height: int, how: int
) -> npt.NDArray[np.float32]:
    if values.shape == (height, width):
        return values
    return np.asarray(cv2.resize(values, (width, height), interpolation=how), np.float32)
