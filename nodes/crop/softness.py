"""Estimating the blur of a face relative to a sharp face of the same size.

The power spectra of sharp faces are much alike when frequencies are in cycles per eye distance. A
lens, enlargement or a codec removes energy at high frequencies, and noise adds some. Comparing the
energy of a few octaves with the spectrum of sharp faces therefore separates blur from noise, for
faces of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
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
    eyes_px = round(eye_distance_px / reduced, 1)
    wanted, noise = _model(eyes_px)
    believed = trust(eyes_px)
    off = np.log(seen) - np.log(wanted)
    level = (off * believed).sum(axis=2, keepdims=True) / believed.sum()
    badness = (believed * np.square(off - level)).sum(axis=2) / _SPREAD**2
    badness += 2 * np.sqrt(_NOISES)[None, :] / _PRIOR_NOISE
    likely = np.exp(-0.5 * (badness - badness.min()))
    likely /= likely.sum()
    blur_px = float((likely.sum(axis=1) * _BLURS_PX).sum()) * reduced
    variance = (likely * np.exp(level[..., 0]) * noise).sum()
    return Softness(blur_px, float(np.sqrt(variance)))


def _reduced(plane: npt.NDArray[np.floating], factor: int) -> npt.NDArray[np.floating]:
    height, width = (side // factor * factor for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(1, 3))


def energies(luma: npt.NDArray[np.floating], weights: npt.NDArray[np.floating]) -> Array:
    """Return the mean square of each band, weighted by `weights` and the slope; shape (bands,).

    Faces differ less at their edges than in the texture of their skin.
    """
    soft = [luma.astype(np.float32)]
    soft += [_blurred(soft[0], sigma_px) for sigma_px in _EDGES_PX[1:]]
    sloped = weights * _slope(soft[0])
    shares = sloped / max(float(sloped.sum()), 1e-9)
    bands = [np.square(fine - coarse) for fine, coarse in pairwise(soft)]
    return np.array([float((band * shares).sum(dtype=np.float64)) for band in bands])


def _slope(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    smooth = _blurred(plane, _SLOPE_SIGMA_PX)
    border = cv2.BORDER_REPLICATE
    along_x, along_y = (
        cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, ksize=1, borderType=border) for dx in (1, 0)
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


@lru_cache(maxsize=1024)
def _model(eyes_px: float) -> tuple[Array, Array]:
    """Return the energies of faces of this size for each blur and noise.

    Returns:
        Shape (blurs, noises, bands); and the noise's variance in the same unit, (blurs, noises).
    """
    faces = expected(eyes_px, _BLURS_PX)
    noise = faces[0, 1] * np.broadcast_to(_NOISES, (len(_BLURS_PX), len(_NOISES)))
    return faces[:, None, :] + noise[:, :, None] * _PASSED.sum(axis=1), noise


def _passed() -> Array:
    """Return the energy response of each band to a ring of frequencies; (bands, frequencies)."""
    f = _FREQUENCIES
    soft = np.exp(-2 * np.pi**2 * np.square(np.outer(_EDGES_PX, f)))
    return np.square(soft[:-1] - soft[1:]) * 2 * np.pi * f * (f[1] - f[0])


_PASSED: Final = _passed()
