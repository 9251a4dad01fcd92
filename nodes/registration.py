"""How one small picture of a face lies in the next: warps of single planes, and registration.

Runs where frames are decoded, without torch. Convention: as in `nodes.geometry`; planes are (H, W)
float32 in [0, 1].
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter

from nodes.geometry import Matrix, compose, invert, translation

__all__ = ["Plane", "enlarged", "register", "warped"]

Plane = npt.NDArray[np.float32]

_SPLINE_ORDER: Final = 3
_SMOOTHING_PX: Final = 0.7
_STEPS: Final = 6
_ENOUGH_PX: Final = 0.01
_FARTHEST: Final = 0.15
"""Of the picture's side: points do not jump farther than this, so a larger step is a mistake."""
_LEAST_SPREAD: Final = 1e-3
_SPREADS_BELIEVED: Final = 3.0
"""An error so many times the mean counts half: a blink or a hand must not decide."""
_RIDGE: Final = 1e-6
"""Holds still what the picture does not show: a mean squared slope, of full scale a pixel."""


def warped(plane: Plane, out_from_plane: Matrix, shape: tuple[int, int]) -> Plane:
    """Draw a plane on another grid of that shape (height, width); NaN where it has no pixel.

    By splines: drawn again and again over a second, a face must neither blur nor sharpen.
    """
    linear, shift = np.split(invert(out_from_plane), [2], axis=1)
    # SciPy counts pixel centres as integers, rows first.
    first = linear.sum(axis=1) / 2 + shift[:, 0] - 0.5
    drawn = affine_transform(
        plane,
        linear[::-1, ::-1],
        first[::-1],
        shape,
        np.float32,
        order=_SPLINE_ORDER,
        mode="constant",
        cval=np.nan,
    )
    return np.asarray(drawn, np.float32)


def enlarged(plane: Plane, scale: int) -> Plane:
    """Enlarge a plane `scale` times."""
    if scale == 1:
        return plane
    height, width = plane.shape
    size = width * scale, height * scale
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC), np.float32)


def register(now: Plane, before: Plane, now_from_before: Matrix, weights: Plane) -> Matrix:
    """Return the similarity near `now_from_before` that lays `before` best over `now`.

    Args:
        now: the later picture.
        before: the earlier one.
        now_from_before: a first guess, a few pixels off.
        weights: shape of `now`, how much each pixel counts.

    Returns:
        The better transform; the guess where the pictures do not say anything better.

    Source: B. D. Lucas, T. Kanade, "An Iterative Image Registration Technique", IJCAI 1981, for a
    similarity, with the robust weights of M. J. Black, P. Anandan, CVIU 1996.
    """
    now, before = _smooth(now), _smooth(before)
    side = max(now.shape)
    slopes = _slopes(now, side)
    found, spreads = now_from_before, list[float]()
    for _ in range(_STEPS):
        error = now - warped(before, found, now.shape)
        counts = np.where(np.isnan(error), 0, weights)
        error = np.nan_to_num(error)
        spread = float((np.abs(error) * counts).sum()) / max(float(counts.sum()), 1e-6)
        spreads.append(max(spread, _LEAST_SPREAD))
        trust = counts / (1 + (error / (_SPREADS_BELIEVED * spreads[-1])) ** 2)
        move_px = _least_squares(slopes, -error, trust)
        if np.abs(move_px).max() > _FARTHEST * side:
            return now_from_before
        found = compose(_similarity(move_px, now.shape), found)
        if np.abs(move_px).max() < _ENOUGH_PX:
            break
    return found if spreads[-1] <= spreads[0] else now_from_before


def _smooth(plane: Plane) -> Plane:
    return gaussian_filter(plane, _SMOOTHING_PX).astype(np.float32, copy=False)


def _slopes(plane: Plane, side_px: int) -> npt.NDArray[np.float32]:
    """Return how each pixel changes with a shift along x and y, growth, and a turn: (H, W, 4).

    Growth and turn are about the middle, measured in pixels at a distance of `side_px`.
    """
    along_y, along_x = np.gradient(plane)
    height, width = plane.shape
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None, :] / side_px
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2)[:, None] / side_px
    return np.stack(
        [along_x, along_y, along_x * x + along_y * y, along_y * x - along_x * y], axis=2
    ).astype(np.float32)


def _least_squares(
    slopes: npt.NDArray[np.float32], error: Plane, trust: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    counted = trust > 0
    rows = slopes[counted]
    weights = trust[counted][:, None]
    normal = (rows * weights).T @ rows + _RIDGE * float(trust.sum() + 1) * np.eye(4)
    wanted = (rows * weights).T @ error[counted]
    return np.asarray(np.linalg.solve(normal, wanted), np.float64)


def _similarity(move_px: npt.NDArray[np.float64], shape: tuple[int, int]) -> Matrix:
    """Return what shifts, grows and turns about the middle of a picture by so many pixels."""
    height, width = shape
    grow, turn = move_px[2:] / max(shape)
    about = np.array([[1 + grow, -turn, move_px[0]], [turn, 1 + grow, move_px[1]]])
    there = compose(translation(width / 2, height / 2), about)
    return compose(there, translation(-width / 2, -height / 2))
