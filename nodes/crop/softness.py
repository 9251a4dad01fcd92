"""Estimating the blur of a face relative to a sharp face of the same size.

The power spectra of sharp faces are much alike when frequencies are in cycles per eye distance. A
lens, enlargement or a codec removes energy at high frequencies, and noise adds some. Comparing the
energy of a few octaves with the spectrum of sharp faces therefore separates blur from noise, for
faces of any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SPECTRUM", "Softness", "energies", "expected", "softness", "trust"]

Array = npt.NDArray[np.float64]

_EDGES_PX: Final = (0.0, 0.7, 1.4, 2.8, 5.6, 11.2)
"""Each band is the difference of two Gaussian blurs with consecutive standard deviations, px."""
_SLOPE_SIGMA_PX: Final = 1.0
"""Standard deviation of the blur before the slope is measured, px, so that noise counts little."""
_ENOUGH_BLUR_PX: Final = 2.8
"""What is blurred so far is computed further from every second pixel; one of `_EDGES_PX`."""
_BLUR_REACH: Final = 3
"""Where Gaussian blurs end, in standard deviations."""
SPECTRUM: Final = (0.48, 2.49, 1.22)
"""Knee, power and pixel width of the spectrum of sharp faces: with f in cycles per eye distance,
(knee^2 + f^2)^(-power/2), sampled by square pixels of that width. Fitted by
`tests.bench.fit_softness` to 24 training people at six sizes and six blurs."""
_SPREAD: Final = 0.2
"""Standard deviation of the log energy of a band between faces."""
_BAND_PX: Final = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
"""Approximate size of each band's detail, px."""
_FULL_CYCLES: Final = 10.0
"""Bands below this many cycles per eye distance depend on the shape of the face and count less."""
_MOST_EYES_PX: Final = 96.0
"""Faces with a larger eye distance are reduced first, px."""

_BLURS_PX: Final = np.concatenate([[0.0], np.geomspace(0.2, 12.0, 36)])
"""Standard deviations of blur that are compared, px."""
_NOISES: Final = np.concatenate([[0.0], np.geomspace(1e-4, 3.0, 16)])
"""Noise variances that are compared, relative to the energy of a sharp face's second band."""
_PRIOR_NOISE: Final = 0.3
"""Scale of the prior on the noise's deviation, which prefers little noise; same unit."""
_BLUR_OF_EACH_PX: Final = np.repeat(_BLURS_PX, len(_NOISES))
"""The blur of each pair of blur and noise; shape (blurs * noises,)."""
_UNLIKELY: Final = np.tile(2 * np.sqrt(_NOISES) / _PRIOR_NOISE, len(_BLURS_PX))
"""What is added to the squared distance of each pair for its noise."""
_SIZE_STEP: Final = 0.01
"""Models of faces are kept for eye distances in steps of 1 %."""
_FREQUENCIES: Final = (np.arange(96) + 0.5) / 96 * 0.62
"""Sampled frequencies in cycles per pixel, a little beyond 0.5 for the corners of the plane."""


@dataclass(frozen=True, slots=True)
class Softness:
    """Blur and noise of a face."""

    blur_px: float
    """Standard deviation of the blur, px; 0 for a face as sharp as its pixels allow."""
    noise: float
    """Standard deviation of white noise, in the unit of the luma."""


def softness(
    luma: npt.NDArray[np.floating], weights: npt.NDArray[np.floating], eye_distance_px: float
) -> Softness:
    """Estimate blur and noise of a face.

    Args:
        luma: shape (height, width), in any unit.
        weights: same shape, non-negative weight of each pixel.
        eye_distance_px: in pixels of `luma`.

    Returns:
        The posterior mean over all blurs and noises, which changes smoothly with the picture. A
        face without any contrast counts as sharp.
    """
    reduced = 1
    while eye_distance_px / reduced > _MOST_EYES_PX:
        reduced *= 2
    if reduced > 1:
        luma, weights = _reduced(luma, reduced), _reduced(weights, reduced)
    seen = energies(luma, weights)
    if seen.min() <= 0:
        return Softness(0.0, 0.0)
    seen = np.log(seen)
    model = _model(round(math.log(eye_distance_px / reduced) / _SIZE_STEP))
    level = model.shares @ seen - model.mean
    # The variance of the differences from the model; only the products depend on the picture.
    mean_square = model.mean_square + model.shares @ (seen * seen) - 2 * (model.weighted @ seen)
    badness = model.certainty * (mean_square - level * level) + _UNLIKELY
    likely = np.exp(-0.5 * (badness - badness.min()))
    likely /= likely.sum()
    variance = likely @ (np.exp(level) * model.noise)
    return Softness(float(likely @ _BLUR_OF_EACH_PX) * reduced, math.sqrt(variance))


def _reduced(plane: npt.NDArray[np.floating], factor: int) -> npt.NDArray[np.float32]:
    height, width = (side // factor for side in plane.shape)
    whole = plane[: height * factor, : width * factor]
    smaller = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.float32)


def energies(luma: npt.NDArray[np.floating], weights: npt.NDArray[np.floating]) -> Array:
    """Return the mean square of each band, weighted by `weights` and the slope; shape (bands,).

    Faces differ less at their edges than in the texture of their skin.
    """
    plane = luma.astype(np.float32, copy=False)
    mask = weights.astype(np.float32, copy=False) * _slope(plane)
    fine, blur_px, step = plane, 0.0, 1
    found: list[float] = []
    for sigma_px in _EDGES_PX[1:]:
        coarse = _blurred(plane, math.sqrt(sigma_px**2 - blur_px**2) / step)
        band = np.square(fine - coarse)
        found.append(float(np.vdot(band, mask)) / max(float(mask.sum()), 1e-9))
        fine = coarse
        if sigma_px == _ENOUGH_BLUR_PX:
            fine, mask = fine[::2, ::2].copy(), mask[::2, ::2].copy()
            plane, blur_px, step = fine, sigma_px, 2
    return np.array(found)


def _slope(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    smooth = _blurred(plane, _SLOPE_SIGMA_PX)
    along_x, along_y = (
        cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, ksize=1, borderType=cv2.BORDER_REPLICATE)
        for dx in (1, 0)
    )
    return np.asarray(cv2.magnitude(along_x, along_y), np.float32)


def _blurred(plane: npt.NDArray[np.float32], sigma_px: float) -> npt.NDArray[np.float32]:
    side_px = 2 * round(_BLUR_REACH * sigma_px) + 1
    blurred = cv2.GaussianBlur(plane, (side_px, side_px), sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def trust(eyes_px: float) -> Array:
    """Return the weight of each band for a face of this size, 0 to 1; shape (bands,)."""
    return np.minimum(1, eyes_px / (_FULL_CYCLES * _BAND_PX)) ** 2


def expected(eyes_px: float, blurs_px: Array, spectrum: tuple[float, ...] = SPECTRUM) -> Array:
    """Return the energies of faces of this size, in any unit; shape (blurs, bands)."""
    knee, power, pixel_px = spectrum
    f = _FREQUENCIES
    face = (knee**2 + np.square(eyes_px * f)) ** (-power / 2) * np.sinc(pixel_px * f) ** 2
    blurred = face * np.exp(-4 * np.pi**2 * np.square(np.outer(blurs_px, f)))
    return blurred @ _PASSED.T


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """What faces of one size look like, with each blur and noise; shapes (blurs * noises,)."""

    shares: Array
    """Weight of each band; shape (bands,), sums to 1."""
    weighted: Array
    """Logarithms of the energies, times the bands' weights; shape (blurs * noises, bands)."""
    mean: Array
    """Weighted mean over the bands of the logarithms."""
    mean_square: Array
    """Weighted mean of their squares."""
    noise: Array
    """Variance of the noise, in the unit of the energies."""
    certainty: float
    """Number of bands that count, over the variance between faces."""


@lru_cache(maxsize=512)
def _model(size_steps: int) -> _Model:
    """Return the model of faces of a size, in steps of `_SIZE_STEP` of its logarithm."""
    eyes_px = math.exp(size_steps * _SIZE_STEP)
    faces = expected(eyes_px, _BLURS_PX)
    noise = faces[0, 1] * np.tile(_NOISES, len(_BLURS_PX))
    faces = np.repeat(faces, len(_NOISES), axis=0)
    wanted = np.log(faces + noise[:, None] * _PASSED.sum(axis=1))
    believed = trust(eyes_px)
    shares = believed / believed.sum()
    return _Model(
        shares=shares,
        weighted=wanted * shares,
        mean=wanted @ shares,
        mean_square=np.square(wanted) @ shares,
        noise=noise,
        certainty=float(believed.sum()) / _SPREAD**2,
    )


def _passed() -> Array:
    """Return the energy response of each band to a ring of frequencies; (bands, frequencies)."""
    f = _FREQUENCIES
    soft = np.exp(-2 * np.pi**2 * np.square(np.outer(_EDGES_PX, f)))
    return np.square(soft[:-1] - soft[1:]) * 2 * np.pi * f * (f[1] - f[0])


_PASSED: Final = _passed()
