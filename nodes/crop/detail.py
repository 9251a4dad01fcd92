"""How much detail a picture of a face holds, for its size."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from nodes.types import Box

__all__ = ["detail"]

_MARGIN: Final = 1 / 6
"""Share of the box at each side that is not compared: hair and background are sharp anyway."""


def detail(luma: npt.NDArray[np.floating], shrink: float, box: Box) -> float:
    """Return which share of a face's contrast is lost when it is shrunk and enlarged again.

    Shrunk along rows and along columns by themselves, and the lesser share counts: what is blurred
    by motion is blurred one way. Noise counts as detail.

    Convention: continuous pixel coordinates, pixel centres at +0.5.

    Args:
        luma: shape (height, width), in any unit.
        shrink: how far, below 1.
        box: of the face in `luma`, xyxy; what lies outside `luma` is left out.

    Returns:
        0 for a face that held no more than its shrunk picture does, or that shows nothing; a sharp
        one has from 0.15 to 0.4.
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
