"""Measuring how much fine detail a picture of a face contains."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from nodes.types import Box

__all__ = ["detail"]

Plane = npt.NDArray[np.float32]

_MARGIN: Final = 1 / 6
"""Share of the box that is left out at each side: hair and background may be sharper."""
_TERMS_AT_ONCE: Final = 256
"""How many products BLAS adds up, fewer than it splits."""


def detail(luma: npt.NDArray[np.floating], shrink: float, box: Box) -> float:
    """Return the share of a face's contrast that is lost by shrinking and enlarging it again.

    It is computed along rows and along columns, and the smaller value is returned, because motion
    blur affects one direction. Noise counts as detail.

    Convention: continuous pixel coordinates, pixel centres at +0.5.

    Args:
        luma: shape (height, width), in any unit.
        shrink: factor of the size, below 1.
        box: of the face, in pixels of `luma`; clipped to it.

    Returns:
        0 for a face without detail finer than the shrunk picture; 0.15 to 0.4 for a sharp face.
    """
    height, width = luma.shape
    x0, y0, x1, y1 = box
    left, right = (int(np.clip(side, 0, width)) for side in (x0, x1))
    top, bottom = (int(np.clip(side, 0, height)) for side in (y0, y1))
    face = luma[top:bottom, left:right].astype(np.float32)
    rows, columns = face.shape
    if min(rows, columns) < 6:
        return 0.0
    inside = (
        slice(int(rows * _MARGIN), rows - int(rows * _MARGIN)),
        slice(int(columns * _MARGIN), columns - int(columns * _MARGIN)),
    )
    contrast = _deviation(face[inside])
    if contrast == 0:
        return 0.0
    shrunk_across, enlarged_across = _there_and_back(columns, max(2, round(columns * shrink)))
    shrunk_down, enlarged_down = _there_and_back(rows, max(2, round(rows * shrink)))
    across = _product(_product(face[inside[0]], shrunk_across), enlarged_across[:, inside[1]])
    down = _product(enlarged_down[:, inside[0]].T, _product(shrunk_down.T, face[:, inside[1]]))
    return min(_deviation(face[inside] - again) for again in (across, down)) / contrast


def _deviation(plane: npt.NDArray[np.floating]) -> float:
    """Return the standard deviation."""
    return float(cv2.meanStdDev(plane)[1][0, 0])


def _product(a: Plane, b: Plane) -> Plane:
    """Return the product of two matrices, the same with any number of threads.

    BLAS splits long sums by its number of threads, and each split rounds differently.
    """
    terms = range(0, len(b), _TERMS_AT_ONCE)
    return sum(
        (a[:, at : at + _TERMS_AT_ONCE] @ b[at : at + _TERMS_AT_ONCE] for at in terms),
        start=np.zeros((len(a), b.shape[1]), np.float32),
    )


@lru_cache(maxsize=128)
def _there_and_back(pixels: int, fewer: int) -> tuple[Plane, Plane]:
    """Return the matrices that shrink lines of pixels by a box filter, and enlarge them again.

    Resampling is linear, and a product with a narrow matrix takes a fraction of its time.

    Returns:
        Shapes (pixels, fewer) and (fewer, pixels).
    """
    units = (Image.fromarray(np.eye(count, dtype=np.float32)) for count in (pixels, fewer))
    sizes = (fewer, pixels), (pixels, fewer)
    filters = Image.Resampling.BOX, Image.Resampling.BICUBIC
    shrunk, enlarged = (
        np.asarray(image.resize(size, kind))
        for image, size, kind in zip(units, sizes, filters, strict=True)
    )
    return shrunk, enlarged
