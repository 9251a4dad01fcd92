"""Colour histograms of faces, to match a face that was hidden for a few seconds.

This is not identification: people with similar skin, hair and light have similar histograms. It is
used where position alone is ambiguous.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from nodes.types import Box

__all__ = ["Appearance", "appearance_of", "mix", "unlikeness"]

Appearance = npt.NDArray[np.float32]
"""Shape (512,), sums to 1: a histogram with 8 levels each of red, green and blue."""

_HEAD: Final = 1.25
"""Side of the square around the face, in widths of its box. A histogram of the head distinguished
people best for its cost, among face, head and chest, and colours on a grid, gradients and luma: see
docs/tracking.md."""


def appearance_of(rgb: npt.NDArray[np.uint8], box: Box) -> Appearance:
    """Return the histogram of the face in a box.

    Args:
        rgb: shape (height, width, 3).
        box: in pixels of `rgb`; its centre is inside.
    """
    x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, _HEAD * (box[2] - box[0]) / 2
    top, bottom = max(0, int(y - half)), int(y + half) + 1
    left, right = max(0, int(x - half)), int(x + half) + 1
    head = rgb[top:bottom, left:right]
    counts = cv2.calcHist([head], [0, 1, 2], None, [8, 8, 8], [0, 256, 0, 256, 0, 256])
    return np.asarray(counts / (head.shape[0] * head.shape[1]), np.float32).ravel()


def mix(before: Appearance | None, seen: Appearance | None, share: float) -> Appearance | None:
    """Return a moving average: `before` plus a share of the difference to `seen`."""
    if before is None or seen is None:
        return seen if before is None else before
    return (before + share * (seen - before)).astype(np.float32)


def unlikeness(a: Appearance, b: Appearance) -> float:
    """Return the Hellinger distance: 0 for equal histograms, 1 for disjoint ones."""
    return float(np.sqrt(max(0.0, 1.0 - float(np.sqrt(a * b).sum()))))
