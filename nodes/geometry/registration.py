"""Registration of small pictures of a face, and warping of single planes. Without torch.

Convention: as in `nodes.geometry.alignment`; planes are (H, W) float32 in [0, 1].
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from nodes.geometry.alignment import (
    MASK_FEATHER,
    Matrix,
    compose,
    face_oval_mask,
    invert,
    scaling,
    translation,
)

__all__ = [
    "Plane",
    "enlarged",
    "on_pixel_indices",
    "oval_on_grid",
    "register",
    "sampled",
    "warped",
]

Plane = npt.NDArray[np.float32]

_SMOOTHING_PX: Final = 0.7
_ENOUGH_SIDE_PX: Final = 48
"""Larger pictures are reduced first, to less than twice this side, px."""
_ENOUGH_PIXELS: Final = 3600
"""Of larger ones only every second row is compared."""
_OVAL_PX: Final = 128
"""Side of the square in which a mask is drawn before it is resampled, px."""
_STEPS: Final = 6
_ENOUGH_PX: Final = 0.03
"""Smallest step after which another follows: the error on compressed faces is 0.12 px."""
_FARTHEST: Final = 0.15
"""Largest step, in sides of the picture; a larger one is an error, as faces do not move so far."""
_LEAST_SPREAD: Final = 1e-3
"""Least mean error, of full scale; avoids a division by 0."""
_SPREADS_BELIEVED: Final = 2.5
"""An error this many times the mean has half of the weight, so that a blink or a hand does not
decide."""
_RIDGE: Final = 1e-6
"""Regularisation, as a mean squared slope (full scale per pixel)^2: keeps transforms from moving in
directions that the picture does not determine."""
_UNITY: Final = np.eye(4)


def warped(plane: Plane, out_from_plane: Matrix, shape: tuple[int, int]) -> Plane:
    """Resample a plane on another grid of shape (height, width); its edge is repeated outside.

    Cubic, so that repeated resampling blurs little.
    """
    inverse = on_pixel_indices(invert(out_from_plane))
    size, flags = (shape[1], shape[0]), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(plane, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return _plane(drawn)


def sampled(plane: Plane, out_from_plane: Matrix, shape: tuple[int, ...]) -> Plane:
    """Resample a smooth plane on another grid, linearly; not finite outside of the plane."""
    # OpenCV inverts the transform itself.
    moved, size = on_pixel_indices(out_from_plane), (shape[1], shape[0])
    return _plane(cv2.warpAffine(plane, moved, size, flags=cv2.INTER_LINEAR, borderValue=np.nan))


def oval_on_grid(
    square_from_grid: Matrix,
    shape: tuple[int, int],
    yaw_deg: float,
    feather: float = MASK_FEATHER,
) -> Plane:
    """Return the face mask on the grid of a picture, resampled from a mask that is drawn once.

    Args:
        square_from_grid: from coordinates of the picture to the aligned square of side 1.
        shape: of the picture, (height, width).
        yaw_deg: yaw of the face, -90 to 90.
        feather: share of the radius over which it falls, above 0.

    Returns:
        Shape `shape`, 1 on the face, falling to 0; a hundredth of the square beyond the mask's edge
        it may differ from 0.
    """
    mask = face_oval_mask(_OVAL_PX, yaw_deg, feather)
    inverse = on_pixel_indices(compose(scaling(_OVAL_PX), square_from_grid))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return _plane(cv2.warpAffine(mask, inverse, (shape[1], shape[0]), flags=flags))


def enlarged(plane: Plane, scale: int) -> Plane:
    """Enlarge a plane (H, W) to (H * scale, W * scale)."""
    if scale == 1:
        return plane
    height, width = plane.shape
    size = width * scale, height * scale
    return _plane(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC))


def register(now: Plane, before: Plane, now_from_before: Matrix, weights: Plane) -> Matrix:
    """Register `before` to `now` by a similarity.

    Args:
        now: the later picture.
        before: the earlier picture.
        now_from_before: initial transform, at most a few pixels off.
        weights: shape of `now`, weight of each pixel.

    Returns:
        The refined transform, or the initial one if it cannot be improved.

    Source: B. D. Lucas, T. Kanade, "An Iterative Image Registration Technique", IJCAI 1981, for a
    similarity, with the robust weights of M. J. Black, P. Anandan, CVIU 1996.
    """
    top, bottom, left, right = _extent(weights)
    corner = translation(left, top)
    seen, counted = now[top:bottom, left:right], weights[top:bottom, left:right]
    factor = max(1, min(seen.shape) // _ENOUGH_SIDE_PX)
    guess = compose(scaling(1 / factor), compose(invert(corner), now_from_before))
    seen, before, counted = (_reduced(plane, factor) for plane in (seen, before, counted))
    found = _refined(seen, before, counted, compose(guess, scaling(factor)))
    return compose(corner, compose(scaling(factor), compose(found, scaling(1 / factor))))


def _extent(weights: Plane) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the pixels with weight; the whole picture if none."""
    rows, columns = np.flatnonzero(weights.any(axis=1)), np.flatnonzero(weights.any(axis=0))
    if not len(rows):
        return 0, weights.shape[0], 0, weights.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _reduced(plane: Plane, factor: int) -> Plane:
    """Average blocks of pixels; incomplete blocks at the right and bottom are dropped."""
    if factor == 1:
        return plane
    height, width = (side // factor for side in plane.shape)
    whole = plane[: height * factor, : width * factor]
    return _plane(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def _refined(now: Plane, before: Plane, weights: Plane, guess: Matrix) -> Matrix:
    now, before = _smooth(now), _smooth(before)
    shape, side = now.shape, max(now.shape)
    step = 1 if now.size <= _ENOUGH_PIXELS else 2
    system, error = _system(now, side, step)
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 1 / step, 0.5 - 0.5 / step]])
    now, weights = now[::step], weights[::step]
    drawn = sampled(before, compose(rows, guess), now.shape)
    counts = _plane(np.where(np.isfinite(drawn), weights, 0).ravel())
    total = max(float(counts.sum()), 1e-6)
    found, spreads = guess, list[float]()
    for _ in range(_STEPS):
        cv2.patchNaNs(cv2.subtract(drawn, now, error), 0)
        spread = float(np.abs(system[4]) @ counts) / total
        spreads.append(max(spread, _LEAST_SPREAD))
        move_px = _least_squares(system, counts, _SPREADS_BELIEVED * spreads[-1])
        largest_px = float(np.abs(move_px).max())
        if largest_px > _FARTHEST * side:
            return guess
        found = compose(_similarity(move_px, shape), found)
        if largest_px < _ENOUGH_PX:
            break
        drawn = sampled(before, compose(rows, found), now.shape)
    return found if spreads[-1] <= spreads[0] else guess


def on_pixel_indices(a_from_b: Matrix) -> Matrix:
    """Convert a transform to integer pixel centres, as used by OpenCV."""
    (xx, xy, x), (yx, yy, y) = a_from_b.tolist()
    return np.array([[xx, xy, x + (xx + xy - 1) / 2], [yx, yy, y + (yx + yy - 1) / 2]])


def _smooth(plane: Plane) -> Plane:
    return _plane(cv2.GaussianBlur(plane, (0, 0), _SMOOTHING_PX))


def _plane(picture: npt.NDArray[Any]) -> Plane:
    return picture.astype(np.float32, copy=False)


def _system(plane: Plane, side_px: int, step: int) -> tuple[npt.NDArray[np.float32], Plane]:
    """Return the derivatives of each pixel by shift along x and y, scale and rotation.

    Scale and rotation are about the centre, in pixels at a distance of `side_px`. Only one row of
    `step` is taken.

    Returns:
        Shape (5, pixels), with the derivatives in the first four rows; and its fifth row, for the
        errors, as (H, W).
    """
    height, width = plane.shape
    rows = np.empty((5, -(-height // step), width), np.float32)
    border = cv2.BORDER_REPLICATE
    along_x, along_y = rows[0], rows[1]
    along_x[:] = cv2.Sobel(plane, cv2.CV_32F, 1, 0, None, 1, 0.5, 0, border)[::step]
    along_y[:] = cv2.Sobel(plane, cv2.CV_32F, 0, 1, None, 1, 0.5, 0, border)[::step]
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None, :] / side_px
    y = (np.arange(0, height, step, dtype=np.float32) + 0.5 - height / 2)[:, None] / side_px
    np.add(along_x * x, along_y * y, out=rows[2])
    np.subtract(along_y * x, along_x * y, out=rows[3])
    return rows.reshape(5, -1), rows[4]


def _least_squares(
    system: npt.NDArray[np.float32], counts: Plane, believed: float
) -> npt.NDArray[np.float64]:
    """Return the step that explains the errors; one of `believed` has half of its weight."""
    doubt = np.square(system[4] * np.float32(1 / believed))
    trust = counts / (1 + doubt)
    products = ((system[:4] * trust) @ system.T).astype(np.float64)
    normal = products[:, :4] + _RIDGE * (float(trust.sum()) + 1) * _UNITY
    _, found = cv2.solve(normal, products[:, 4:], flags=cv2.DECOMP_CHOLESKY)
    return np.asarray(found[:, 0], np.float64)


def _similarity(move_px: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Matrix:
    """Return the similarity for a step of `_system`'s four parameters."""
    height, width = shape
    grow, turn = move_px[2:] / max(shape)
    x, y = width / 2, height / 2
    x0, y0 = move_px[0] - grow * x + turn * y, move_px[1] - turn * x - grow * y
    return np.array([[1 + grow, -turn, x0], [turn, 1 + grow, y0]])
