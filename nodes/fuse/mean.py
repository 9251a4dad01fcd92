"""The mean of a face over several frames, as in `aminet.history`, on the current frame's grid.

For a small face the grid is twice as fine, as the network's square is: frames at different
sub-pixel positions show more together than each of them.

Earlier patches are stored at twice their size and resampled from there by linear interpolation,
which is as good as cubic interpolation of the patch itself in a quarter of the time. Every mean is
computed from the original pixels, so that patches do not blur with age.

Colours are RGB code values of the patch; planes are (H, W) float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from nodes.geometry.alignment import Matrix, invert
from nodes.geometry.registration import Plane, on_pixel_indices
from nodes.types import RgbImage

__all__ = ["Fused", "agreements", "drawable", "fuse", "light_changes", "noise_of"]

_FINER: Final = 2
_HALF_WAY: Final = np.array([-3, 19, 19, -3]) / 32
"""Taps of cubic interpolation halfway between pixels, with the a = -0.75 of the alignment."""
_ONE: Final = 255
"""Agreement is quantised to this many steps."""
_JUDGED_PX: Final = 48
"""Approximate side of the square on which agreement is computed, px; it varies slowly."""

_NEIGHBOURS: Final = np.ones((3, 3), np.uint8)

_NOISE_LEVELS: Final = (1.2, 6.0)
"""Smallest and largest mean difference that counts as noise, in 8-bit levels. This and the next
constants are also in `aminet.data.tracks`, so that networks train with the same weights."""
_WINDOW: Final = 1 / 14
"""Side of the windows over which differences are averaged, in sides of the aligned square."""
_NOISE_GROWTH: Final = 1.2
"""Largest growth of the noise from frame to frame, as a factor."""
_TOLERANCE: Final = 1.2
"""Factor on the noise below which frames agree, because noise varies over the face."""
_DISTRUST: Final = 4.0
"""How fast agreement falls with the excess difference e: 1 / (1 + _DISTRUST e)."""

_LIGHT_GRID: Final = 8
"""Parts of the patch, across and down, in which changes of light are measured."""
_LIGHT_ROUNDS: Final = 3
"""Iterations of the robust fit."""
_LIGHT_BELIEVED: Final = 2.0
"""A part that differs by this many times the typical residual has a quarter of the weight."""
_LEAST_LIGHT: Final = 0.1
_LIGHT_RIDGE: Final = 1e-3 * np.eye(3, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """The mean of a face over several frames."""

    rgb: RgbImage
    """Shape (f H, f W, 3), in code values: the mean of the current frame and those that agree, on a
    grid f times as fine as the patch's; see `FaceHistory.fused_rgb`."""
    weight: npt.NDArray[np.uint8]
    """Shape (H, W): 255 n / (n + 1) where n earlier frames agree."""
    newest_share: float
    """Share of the face in which the newest earlier frame agrees, 0 to 1."""
    noise: float
    """Mean difference between frames that counts as noise, in 8-bit levels."""


def drawable(rgb: RgbImage) -> npt.NDArray[Any]:
    """Upsample a patch by 2, to be resampled on other grids.

    Returns:
        Shape (2 H, 2 W, 4), same dtype. Every second pixel is that of the patch, so that values do
        not change where nothing moved. The fourth channel has the largest value, and marks the
        pixels inside the patch.
    """
    own = _with_edge(rgb)
    height, width, channels = own.shape
    right = _half_way(own, _HALF_WAY[None, :])
    # Whole pixels are copied as single numbers, which is many times as fast.
    pixel = np.dtype(f"u{channels * own.itemsize}")
    finer = np.empty((height, 2, width, 2), pixel)
    finer[:, 0, :, 0], finer[:, 0, :, 1] = own.view(pixel)[..., 0], right.view(pixel)[..., 0]
    for column, pixels in enumerate((own, right)):
        finer[:, 1, :, column] = _half_way(pixels, _HALF_WAY[:, None]).view(pixel)[..., 0]
    return finer.view(own.dtype).reshape(_FINER * height, _FINER * width, channels)


def _half_way(pixels: npt.NDArray[Any], kernel: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Interpolate halfway to the next pixels, by a cubic kernel."""
    anchor = (kernel.shape[1] - 1) // 2, (kernel.shape[0] - 1) // 2
    return cv2.filter2D(pixels, -1, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE)


def _with_edge(rgb: RgbImage) -> npt.NDArray[Any]:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)


def fuse(
    rgb: RgbImage,
    finer_rgb: npt.NDArray[Any] | None,
    earlier: Sequence[tuple[npt.NDArray[Any], Matrix]],
    oval: Plane,
    *,
    bit_depth: int,
    side_px: float,
    noise_before: float | None,
) -> Fused:
    """Return the mean of a face over the current and earlier frames.

    Args:
        rgb: the current frame's patch, (H, W, 3).
        finer_rgb: the same from `drawable`, for a mean that is twice as fine; None: as fine as the
            patch.
        earlier: earlier patches from `drawable`, with the transforms from their coordinates to
            those of `rgb`; in order of time, at least one.
        oval: (H, W) in [0, 1], the face mask.
        bit_depth: of the code values.
        side_px: side of the aligned square, in pixels of the patch.
        noise_before: `Fused.noise` in the frame before, if known.
    """
    height, width = rgb.shape[:2]
    finer = 1 if finer_rgb is None else _FINER
    factor = _judged_factor(side_px)
    # Padded, because whole blocks are averaged several times as fast.
    below, right = -height % factor, -width % factor
    face = _smaller(cv2.copyMakeBorder(oval, 0, below, 0, right, cv2.BORDER_CONSTANT), factor)
    own = _with_edge(rgb) if finer_rgb is None else finer_rgb
    shape = finer * (height + below), finer * (width + right)
    pictures = _on_one_grid(own, earlier, shape, finer)
    level = np.float32(255 / ((1 << bit_depth) - 1))
    moved, covered = _compared(pictures, finer * factor, level)
    light = light_changes(moved, covered * face)
    differences = _averaged(np.abs(moved - light), side_px / factor)
    noise = noise_of(differences[-1], face, noise_before)
    agreed = agreements(differences, noise) * covered
    shares = agreed / (1 + agreed.sum(axis=0))
    mean, own_share = _weighted_mean(pictures, shares, (shares * light).sum(axis=0) / level)
    newest = float((agreed[-1] * face).sum() / max(float(face.sum()), 1e-6))
    picture: Any = cv2.cvtColor(mean[: finer * height, : finer * width], cv2.COLOR_RGBA2RGB)
    picture = picture if bit_depth == 8 else np.minimum(picture, (1 << bit_depth) - 1)
    weight = _ONE - own_share[: finer * height : finer, : finer * width : finer]
    return Fused(picture, weight.astype(np.uint8), newest, noise)


def _judged_factor(side_px: float) -> int:
    """Return by how much pictures are reduced to compare them: a power of 2."""
    return 2 ** max(0, round(math.log2(side_px / _JUDGED_PX)))


def _on_one_grid(
    own: npt.NDArray[Any],
    earlier: Sequence[tuple[npt.NDArray[Any], Matrix]],
    shape: tuple[int, int],
    finer: int,
) -> npt.NDArray[Any]:
    """Resample earlier patches on a grid `finer` times as fine as the current one.

    Returns:
        Shape (K + 1, *shape, 4); the last is the current patch, whose edge is repeated. Together,
        because most of the time goes into calls, not into pixels.
    """
    pictures = np.empty((len(earlier) + 1, *shape, own.shape[2]), own.dtype)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for (patch, now_from_patch), picture in zip(earlier, pictures, strict=False):
        inverse = _FINER * on_pixel_indices(invert(now_from_patch))
        inverse[:, :2] /= finer
        cv2.warpAffine(patch, inverse, shape[::-1], picture, flags)
    below, right = shape[0] - own.shape[0], shape[1] - own.shape[1]
    cv2.copyMakeBorder(own, 0, below, 0, right, cv2.BORDER_REPLICATE, pictures[-1])
    return pictures


def _compared(
    pictures: npt.NDArray[Any], factor: int, level: np.float32
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the difference of each picture from the last one, and its mask of valid pixels.

    Both are (K, H / factor, W / factor); the first in 8-bit levels, the second 0 or 1. A pixel is
    valid where the picture covers it and its neighbours, so that weights can be interpolated.
    """
    count, height, width, channels = pictures.shape
    small = _smaller(pictures.reshape(-1, width, channels), factor)
    shape = count, height // factor, width // factor
    third = level / 3
    weights = np.array([third, third, third, 0], np.float32)
    grey = (small.astype(np.float32).reshape(-1, channels) @ weights).reshape(shape)
    # Interpolation at the edge errs by a code or two, otherwise in 8 bits than in 16.
    whole = np.iinfo(pictures.dtype).max * (1 - 1 / 128)
    covered = np.greater(cv2.extractChannel(small, 3), whole)
    around = cv2.erode(covered.astype(np.uint8), _NEIGHBOURS).reshape(shape)
    return grey[:-1] - grey[-1], around[:-1].astype(np.float32)


def _weighted_mean(
    pictures: npt.NDArray[Any], shares: npt.NDArray[np.float32], brighter: Plane
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the weighted mean of the pictures, and the weight of the last one in `_ONE` parts.

    Args:
        pictures: (K + 1, H, W, 4).
        shares: weights of all but the last, (K, h, w) on a coarser grid; their sum is below 1.
        brighter: (h, w), what to subtract from the mean.
    """
    *earlier, current = pictures
    shape = current.shape[:2]
    offset = cv2.resize(np.float32(-_ONE) * brighter, shape[::-1], interpolation=cv2.INTER_LINEAR)
    # Not by `merge`, which writes past the caches, so that reading takes longer than all else.
    total = cv2.cvtColor(offset, cv2.COLOR_GRAY2RGBA)
    rest = np.full(shape, _ONE, current.dtype)
    # Their sums are rounded, not they themselves, which would be too little in seven equal parts.
    up_to = np.rint(shares.cumsum(axis=0) * _ONE).astype(current.dtype)
    parts = up_to.copy()
    parts[1:] -= up_to[:-1]
    parts = _finer(parts, shape)
    for picture, part in zip(earlier, parts, strict=True):
        cv2.accumulateProduct(picture, cv2.cvtColor(part, cv2.COLOR_GRAY2RGBA), total)
        # The weights must sum to 1 exactly, although each of them is rounded.
        cv2.subtract(rest, part, rest)
    cv2.accumulateProduct(current, cv2.cvtColor(rest, cv2.COLOR_GRAY2RGBA), total)
    depth = cv2.CV_8U if current.dtype == np.uint8 else cv2.CV_16U
    return cv2.addWeighted(total, 1 / _ONE, total, 0, 0, dtype=depth), rest


def _finer(planes: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Interpolate planes (K, h, w) on a finer grid, in one call: (K, *shape)."""
    count, height, width = planes.shape
    # With a row above and below each of them, so that they do not mix.
    tall = np.concatenate([planes[:, :1], planes, planes[:, -1:]], axis=1).reshape(-1, width)
    factor = shape[0] // height
    size = shape[1], factor * len(tall)
    drawn = cv2.resize(tall, size, interpolation=cv2.INTER_LINEAR)
    return drawn.reshape(count, -1, shape[1])[:, factor:-factor]


def noise_of(difference: Plane, oval: Plane, before: float | None) -> float:
    """Return the difference between two frames that counts as noise, in 8-bit levels.

    This is the median over the face, with a limit on its growth, because a whole face may move.

    Args:
        difference: (H, W), of neighbouring frames, averaged over windows.
        oval: (H, W), the face mask.
        before: the noise in the frame before, if known.
    """
    face = oval > 0.5
    on_face = difference[face]
    middle = len(on_face) // 2
    usual = float(np.partition(on_face, middle)[middle]) if len(on_face) else 0.0
    most = _NOISE_LEVELS[1] if before is None else _NOISE_GROWTH * before
    return min(max(usual, _NOISE_LEVELS[0]), most, _NOISE_LEVELS[1])


def agreements(differences: npt.NDArray[np.float32], noise: float) -> npt.NDArray[np.float32]:
    """Return how well earlier frames agree with the current one.

    A difference of d times the noise has an excess energy of `d * d - 1` times that of the noise,
    by which the weight falls. Giving full weight up to twice the noise would make moving faces
    worse than a single frame (`tests.bench.measure_fusion`).

    Args:
        differences: (K, H, W), not negative, averaged over windows, in 8-bit levels.
        noise: mean difference by noise alone, in 8-bit levels.

    Returns:
        (K, H, W): 1 where the difference is no more than noise, else down to 0.
    """
    allowed = _TOLERANCE * noise
    excess = np.maximum((differences * np.float32(1 / allowed)) ** 2 - 1, 0)
    return _f32(1 / (1 + _DISTRUST * excess))


def _averaged(differences: npt.NDArray[np.float32], side_px: float) -> npt.NDArray[np.float32]:
    """Average over windows, so that noise does not look like a change."""
    window = 2 * max(1, int(side_px * _WINDOW / 2)) + 1
    averages = np.empty_like(differences)
    for plane, average in zip(differences, averages, strict=True):
        cv2.blur(plane, (window, window), average)
    return averages


def light_changes(
    moved: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Fit a change of light, as a plane over the face, for each frame.

    Args:
        moved: (K, H, W), difference of each frame from the current one.
        weights: (K, H, W), weight of each pixel.

    Returns:
        (K, H, W), the fitted planes; the fit is robust against moving parts.
    """
    frames, height, width = moved.shape
    counts, sums = _parts(weights), _parts(moved * weights)
    means = sums / np.maximum(counts, 1e-3)
    basis, products = _plane_basis(_LIGHT_GRID, _LIGHT_GRID), _light_products()
    least = np.maximum(counts.sum(axis=1), 1e-3)
    trust, planes = counts, np.zeros((frames, 3), np.float32)
    for _ in range(_LIGHT_ROUNDS):
        normal = (trust @ products).reshape(-1, 3, 3) + _LIGHT_RIDGE
        planes = _f32(np.linalg.solve(normal, ((trust * means) @ basis)[..., None])[..., 0])
        off = np.abs(means - planes @ basis.T)
        usual = np.einsum("kp,kp->k", off, counts) / least
        spread = _LIGHT_BELIEVED * np.maximum(usual, _LEAST_LIGHT)[:, None]
        trust = counts / np.square(1 + np.square(off / spread))
    return _f32(planes @ _plane_basis(height, width).T).reshape(frames, height, width)


def _parts(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of each part of each plane: (K, H, W) to (K, parts)."""
    height, width = planes.shape[1:]
    return _f32(_pooling(height) @ planes @ _pooling(width).T).reshape(len(planes), -1)


@lru_cache(maxsize=1)
def _light_products() -> npt.NDArray[np.float32]:
    """Return the products of the basis in the parts: (parts, 9)."""
    basis = _plane_basis(_LIGHT_GRID, _LIGHT_GRID)
    return _f32(basis[:, :, None] * basis[:, None, :]).reshape(-1, 9)


@lru_cache(maxsize=64)
def _pooling(pixels: int) -> npt.NDArray[np.float32]:
    """Return the matrix that averages a line of pixels into equal parts: (parts, pixels)."""
    part, edges = pixels / _LIGHT_GRID, np.arange(pixels)
    starts = np.arange(_LIGHT_GRID)[:, None] * part
    covered = np.minimum(edges + 1, starts + part) - np.maximum(edges, starts)
    return _f32(np.maximum(covered, 0) / part)


@lru_cache(maxsize=64)
def _plane_basis(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return level, slope along x and slope along y on a grid: (H * W, 3)."""
    x, y = (np.arange(side, dtype=np.float32) / side + 0.5 / side - 0.5 for side in (width, height))
    return _f32(
        np.stack([np.ones(height * width), np.tile(x, height), np.repeat(y, width)], axis=1)
    )


def _smaller(picture: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """Average blocks of pixels; `factor` is a power of 2."""
    while factor > 1:
        # By 2 at a time, for which OpenCV is many times as fast as by 4.
        size = picture.shape[1] // 2, picture.shape[0] // 2
        picture, factor = cv2.resize(picture, size, interpolation=cv2.INTER_AREA), factor // 2
    return picture


def _f32(numbers: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return numbers.astype(np.float32, copy=False)
