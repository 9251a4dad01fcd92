"""Adding an RGB residual to a region of a frame, in its Y/Cb/Cr samples.

Y/Cb/Cr is linear in RGB, so that the frame need not be converted to RGB, and samples with a
residual of 0 do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import av
import cv2
import numpy as np
import numpy.typing as npt

from nodes.picture.layout import (
    LUMA_WEIGHTS,
    PixelLayout,
    Region,
    Samples,
    Values,
    chroma_samples,
    chroma_siting,
    pixel_layout,
    region_samples,
    resolve_color,
)
from nodes.values import ColorTags

__all__ = ["add_rgb_residual"]


def add_rgb_residual(
    picture: av.VideoFrame,
    region_xyxy_px: Region,
    residual: npt.NDArray[np.floating],
    color: ColorTags,
) -> None:
    """Add an RGB residual to a region of `picture`, in place.

    Samples do not change where the residual is 0 in the whole chroma block. Results are rounded and
    clipped to the legal range, or to the sample's own value if that was outside of it.

    Args:
        picture: changed in place; see `copy_picture`.
        region_xyxy_px: inside the picture, aligned to its chroma grid.
        residual: shape (height, width, 3) of the region, in units of full RGB scale.
        color: the stream's tags.
    """
    layout = pixel_layout(picture.format.name)
    matrix, full = resolve_color(color, layout, picture.height)
    changed = _changed_part(residual, region_xyxy_px, layout)
    if changed is None:
        return
    region, change, touched = changed
    luma, *chroma = (
        np.asarray(plane, np.float32) for plane in cv2.split(cv2.transform(change, _planes(matrix)))
    )
    unit, top = 1 << (layout.bit_depth - 8), (1 << layout.bit_depth) - 1
    legal = (0, top) if full else (16 * unit, 235 * unit)
    gain = top if full else 219 * unit
    _add(region_samples(picture, layout, 0, region), gain * luma, touched, legal, layout.shift)
    if layout.chroma == "none":
        return
    legal = (0, top) if full else (16 * unit, 240 * unit)
    gain = top if full else 224 * unit
    blocks = _subsampled(touched.astype(np.float32), layout, (0.5, 0.5)) > 0
    _, *siting = chroma_siting(color)
    for view, plane in zip(chroma_samples(picture, layout, region), chroma, strict=True):
        _add(view, gain * _subsampled(plane, layout, siting), blocks, legal, layout.shift)


@lru_cache(maxsize=16)
def _planes(matrix: int) -> npt.NDArray[np.float64]:
    """Return the matrix from R, G and B to Y, Cb and Cr, all three of full scale 1."""
    weight_r, weight_b = LUMA_WEIGHTS[matrix]
    luma = np.array([weight_r, 1 - weight_r - weight_b, weight_b])
    red, _, blue = np.eye(3)
    return np.stack([luma, (blue - luma) / (2 - 2 * weight_b), (red - luma) / (2 - 2 * weight_r)])


def _changed_part(
    residual: npt.NDArray[np.floating], region: Region, layout: PixelLayout
) -> tuple[Region, Values, npt.NDArray[np.bool_]] | None:
    """Return the smallest region with the whole residual.

    Returns:
        The region, the residual there (H, W, 3), and which pixels it changes (H, W); None if none.
    """
    residual = residual.astype(np.float32, copy=False)
    unchanged = cv2.inRange(residual, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    touched = np.equal(unchanged, 0)
    left, above, width, height = cv2.boundingRect(touched.view(np.uint8))
    if not width:
        return None
    x0, y0, x1, y1 = region
    # One more chroma sample on each side, because chroma depends on pixels beyond its block.
    grown_x, grown_y = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    right = min(x1 - x0, -(-(left + width + grown_x) // grown_x) * grown_x)
    below = min(y1 - y0, -(-(above + height + grown_y) // grown_y) * grown_y)
    left = max(0, left - grown_x) >> layout.log2_sub_x << layout.log2_sub_x
    above = max(0, above - grown_y) >> layout.log2_sub_y << layout.log2_sub_y
    part = slice(above, below), slice(left, right)
    return (x0 + left, y0 + above, x0 + right, y0 + below), residual[part], touched[part]


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


def _subsampled(values: Values, layout: PixelLayout, siting: Sequence[float]) -> Values:
    """Reduce (H, W) to the chroma grid; an incomplete last block is padded by repetition.

    Args:
        values: values of luma pixels.
        layout: the pixel layout.
        siting: horizontal and vertical siting; see `chroma_siting`.
    """
    steps = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    (across, x), (down, y) = (_taps(*each) for each in zip(steps, siting, strict=True))
    means = cv2.sepFilter2D(
        values, cv2.CV_32F, across, down, anchor=(x, y), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(means, np.float32)[:: steps[1], :: steps[0]]


@lru_cache(maxsize=16)
def _taps(step: int, siting: float) -> tuple[Values, int]:
    """Return the weights of the pixels of a block and around it, and the index of its first pixel.

    Chroma that is centred between pixels is the mean of its block. Chroma on a pixel is the
    weighted mean of that and its neighbours, with weights such as [1 2 1] / 4.
    """
    if siting == 0.5 or step == 1:
        return np.full(step, 1 / step, np.float32), 0
    centre = round(siting * (step - 1))
    weights = step - np.abs(np.arange(1 - step, step))
    return (weights / weights.sum()).astype(np.float32), step - 1 - centre
