"""Measuring how much fine detail a picture of a face contains."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from nodes.types import Box

__all__ = ["detail"]

_MARGIN: Final = 1 / 6
"""Share of the box that is left out at each side: hair and background may be sharper."""


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
    contrast = float(face[inside].std())
    if contrast == 0:
        return 0.0
    image = Image.fromarray(face)
    sizes = (max(2, round(columns * shrink)), rows), (columns, max(2, round(rows * shrink)))
    lost: list[float] = []
    for size in sizes:
        small = image.resize(size, Image.Resampling.BOX)
        again = np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC))
        lost.append(float((face - again)[inside].std()) / contrast)
    return min(lost)
