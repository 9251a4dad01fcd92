"""Making dim, hazy and soft pictures fit for the detector, and comparing pictures in any light.

Lamps, night, haze and a camera's exposure change levels, not what is seen. Nothing here is part of
the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Luma", "percentiles", "structure", "with_contrast", "with_detail"]

Luma = npt.NDArray[np.float32]
"""Shape (rows, columns), 0 to 1: every n-th luma sample of a frame."""

_LUMA: Final = np.array([0.3, 0.59, 0.11], np.float32)
_RANGE: Final = (2.0, 95.0)
"""Percentiles of luma that are taken for black and white; a lamp in the picture is above."""
_LEAST_SPAN: Final = 100.0
"""Least distance between them for the detector, levels of 255. Of faces 20 px wide at 6 % light
over a black level of 16 it finds 75 % unstretched, all with a span of 80 to 160."""
_MOST_GAIN: Final = 24.0
"""A span of 4 levels is stretched by this, a smaller one is noise."""

_FINE_PX: Final = (1.0, 2.0)
"""Detail up to the first standard deviation is compared with that between the first and the second,
px of a view."""
_SHARP_RATIO, _SOFT_RATIO = 0.78, 0.62
"""Ratios of their RMS at which a view is left as it is, and at which it gets `_SHARPENED` times its
detail. Views of faces have 0.75 to 1 without blur, 0.65 to 0.8 with a blur of half a source pixel,
0.55 to 0.7 with one of a pixel."""
_SHARPENED: Final = 1.0
_MOST_SHARPENED: Final = 1.5
_DETAIL_PX: Final = 1.5
"""Standard deviation of the unsharp mask, px of a view."""

_BLOCK: Final = 8
_AROUND: Final = 5
"""Side of the window whose mean light is taken away, in blocks."""
_LEAST_LIGHT: Final = 0.01
"""Added to luma before the logarithm, for the noise of black."""
_LEAST_STRUCTURE: Final = 0.003
"""Least standard deviation of the blocks less their local mean, of full scale: a picture with less
is blank. Noise of 2 % leaves 0.0025, a scene at 6 % light about 0.01."""


def with_contrast(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a picture stretched to the contrast that the detector needs; itself if it has that.

    Args:
        rgb: shape (height, width, 3).
    """
    low, high = percentiles((rgb[::4, ::4] @ _LUMA).ravel(), _RANGE)
    if high - low >= _LEAST_SPAN:
        return rgb
    gain = min(_LEAST_SPAN / max(high - low, 1e-3), _MOST_GAIN)
    black = min(low, 255 - _LEAST_SPAN)
    return np.clip((rgb.astype(np.float32) - low) * gain + black, 0, 255).astype(np.uint8)


def percentiles(samples: Luma, percents: Sequence[float]) -> list[float]:
    """Return what `np.percentile` does, in a fifth of its time: this is done for every view."""
    places = [percent / 100 * (len(samples) - 1) for percent in percents]
    below = [int(place) for place in places]
    above = [min(index + 1, len(samples) - 1) for index in below]
    ordered = np.partition(samples, sorted({*below, *above}))
    return [
        float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))
        for place, low, high in zip(places, below, above, strict=True)
    ]


def with_detail(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Sharpen a view that is softer than what the detector is used to; a sharp one is itself.

    Noise counts as detail, so that a noisy view is not sharpened.

    Args:
        rgb: shape (height, width, 3).
    """
    picture = rgb.astype(np.float32)
    luma = cv2.transform(picture, _LUMA[None])
    soft, softer = (cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in _FINE_PX)
    fine, coarse = (cv2.norm(*pair, cv2.NORM_L2SQR) for pair in ((luma, soft), (soft, softer)))
    ratio = (fine / max(coarse, 1e-6 * luma.size)) ** 0.5
    lacking = (_SHARP_RATIO - ratio) / (_SHARP_RATIO - _SOFT_RATIO)
    amount = min(_SHARPENED * lacking, _MOST_SHARPENED)
    if amount <= 0:
        return rgb
    blurred = cv2.GaussianBlur(picture, (0, 0), _DETAIL_PX)
    sharpened = cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0, dtype=cv2.CV_8U)
    return sharpened.astype(np.uint8, copy=False)


def structure(luma: Luma) -> Luma | None:
    """Return what a picture shows in coarse blocks, whatever the light on it.

    It is the logarithm of luma, once as it is and once less its local mean, each with mean 0 and
    variance 1. A change of brightness, contrast or gamma hardly changes either, a lamp to one side
    not the second one, and something that comes before a plain wall not the first one. In blocks,
    so that noise and moving texture do not, either.

    Returns:
        Shape (2, rows / 8, columns / 8); None if the picture is too small or blank.
    """
    rows, columns = (side // _BLOCK for side in luma.shape)
    if not rows or not columns:
        return None
    blocks = luma[: rows * _BLOCK, : columns * _BLOCK]
    coarse = blocks.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))
    if float(_without_local_mean(coarse).std()) < _LEAST_STRUCTURE:
        return None
    light = np.log(coarse + _LEAST_LIGHT)
    both = np.stack([light, _without_local_mean(light)])
    both -= both.mean(axis=(1, 2), keepdims=True)
    return (both / both.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def _without_local_mean(blocks: Luma) -> Luma:
    mean = cv2.blur(blocks, (_AROUND, _AROUND), borderType=cv2.BORDER_REFLECT)
    return (blocks - mean).astype(np.float32)
