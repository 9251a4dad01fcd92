"""How soft a picture of a face is: the blur that stands between it and a sharp one of its size.

Faces, seen from any distance, have one spectrum: energy falls with the frequency by the same power,
counted in cycles per eye distance. What a lens, enlargement or a codec took is missing from it at
the fine end, and noise is added there. So a few octaves of a face's energy, compared with the
spectrum of sharp faces, tell blur and noise apart, whatever the size and whoever it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

__all__ = ["SPECTRUM", "Softness", "energies", "expected", "softness", "trust"]

Array = npt.NDArray[np.float64]

_EDGES_PX: Final = (0.0, 0.7, 1.4, 2.8, 5.6, 11.2)
"""Each band lies between two Gaussian blurs of these standard deviations."""
SPECTRUM: Final = (0.44, 2.89, 1.03)
"""Knee, power and pixel of sharp faces' spectrum, (knee^2 + cycles per eye distance^2)^(-power/2)
through square pixels so wide. Fitted by `tests.bench.fit_softness` to 32 training people at six
sizes and six blurs."""
_SPREAD: Final = 0.2
"""How far the logarithms of one face's bands are from those of all, as a standard deviation."""
_BAND_PX: Final = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
"""About how fine each band's detail is."""
_FULL_CYCLES: Final = 10.0
"""Bands of fewer pixels to the eye distance than this see the face's own shape, and count less."""
_MOST_EYES_PX: Final = 96.0
"""Larger faces are reduced before they are measured."""

_BLURS_PX: Final = np.concatenate([[0.0], np.geomspace(0.2, 12.0, 36)])
_NOISES: Final = np.concatenate([[0.0], np.geomspace(1e-4, 3.0, 16)])
"""Variance of the noise over the energy of a sharp face's second band."""
_PRIOR_NOISE: Final = 0.3
_FREQUENCIES: Final = (np.arange(96) + 0.5) / 96 * 0.62
"""Cycles per pixel; a little beyond a half, for the corners of the plane."""


@dataclass(frozen=True, slots=True)
class Softness:
    """What a face lacks."""

    blur_px: float
    """Standard deviation of the blur, in pixels of the picture; 0: as sharp as its pixels."""
    noise: float
    """Standard deviation of white noise, in units of the luma."""


def softness(
    luma: npt.NDArray[np.floating], weights: npt.NDArray[np.floating], eye_distance_px: float
) -> Softness:
    """Estimate blur and noise of a face.

    Args:
        luma: shape (height, width), in any unit.
        weights: same shape, how much each pixel belongs to the face, not negative.
        eye_distance_px: in pixels of `luma`.

    Returns:
        The mean over all blurs and noises, by how well each explains the face: it changes smoothly
        with the picture. A face that shows nothing at all counts as sharp.
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
    """Return the mean square of each band over the face; shape (bands,)."""
    soft = [luma.astype(np.float32)]
    soft += [gaussian_filter(soft[0], sigma, truncate=3) for sigma in _EDGES_PX[1:]]
    shares = weights / max(float(weights.sum()), 1e-9)
    bands = [np.square(fine - coarse) for fine, coarse in pairwise(soft)]
    return np.array([float((band * shares).sum(dtype=np.float64)) for band in bands])


def trust(eyes_px: float) -> Array:
    """Return how much each band counts in a face of this size, 0 to 1; shape (bands,)."""
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
    """Return how much each band takes of a ring of frequencies; shape (bands, frequencies)."""
    f = _FREQUENCIES
    soft = np.exp(-2 * np.pi**2 * np.square(np.outer(_EDGES_PX, f)))
    return np.square(soft[:-1] - soft[1:]) * 2 * np.pi * f * (f[1] - f[0])


_PASSED: Final = _passed()
