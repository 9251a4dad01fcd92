"""What a face looks like, as far as that tells people apart for a few seconds: its colours.

Not identity: people with like faces, hair and light are alike here. It decides between faces that
position alone leaves open, after one was hidden.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from nodes.types import Box

__all__ = ["Appearance", "appearance_of", "mix", "unlikeness"]

Appearance = npt.NDArray[np.float32]
"""Shape (512,), sums to 1: shares of 8 levels each of red, green and blue."""

_HEAD: Final = 1.25
"""Side of the square that is looked at, in widths of the face's box. Of face, head and chest, as
colours on a grid, histograms, gradients and plain luma, this told people apart best for its cost:
see docs/tracking.md."""


def appearance_of(rgb: npt.NDArray[np.uint8], box: Box) -> Appearance:
    """Describe the face in a box.

    Args:
        rgb: shape (height, width, 3).
        box: in pixels of `rgb`, its middle inside.
    """
    x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, _HEAD * (box[2] - box[0]) / 2
    top, bottom = max(0, int(y - half)), int(y + half) + 1
    left, right = max(0, int(x - half)), int(x + half) + 1
    levels = (rgb[top:bottom, left:right] >> 5).reshape(-1, 3).astype(np.intp)
    counts = np.bincount(levels @ (64, 8, 1), minlength=512)
    return (counts / counts.sum()).astype(np.float32)


def mix(before: Appearance | None, seen: Appearance | None, share: float) -> Appearance | None:
    """Let what was known of a face follow what is seen now, by a share of the difference."""
    if before is None or seen is None:
        return seen if before is None else before
    return (before + share * (seen - before)).astype(np.float32)


def unlikeness(a: Appearance, b: Appearance) -> float:
    """Return the Hellinger distance: 0 for equal colours, 1 for none in common."""
    return float(np.sqrt(max(0.0, 1.0 - float(np.sqrt(a * b).sum()))))
