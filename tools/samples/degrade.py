"""What a cheap camera does to a picture before the encoder does the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from tools.samples.scene import REFERENCE_SCALE, Video

__all__ = ["degrade"]

NOISE_GRAIN_SIGMA_PX = 0.5
"""Demosaicing spreads a pixel's noise over its neighbours."""
CHROMA_NOISE_SHARE = 0.5
"""Noise of its own that each colour has, relative to the noise they share."""


def degrade(picture: Image.Image, video: Video, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Shrinks a reference picture to sample size by area averaging, blurs it and adds noise.

    Args:
        picture: The reference picture, RGB.
        video: Size, blur and noise wanted.
        rng: Source of the noise; one generator for all frames of a video.

    Returns:
        RGB, shape (video.height_px, video.width_px, 3).
    """
    height, width, scale = video.height_px, video.width_px, REFERENCE_SCALE
    blocks = np.asarray(picture, np.float64).reshape(height, scale, width, scale, 3)
    small = blocks.mean(axis=(1, 3))
    blurred = ndimage.gaussian_filter(small, (video.blur_sigma_px, video.blur_sigma_px, 0))
    shared = _grain((height, width, 1), rng)
    own = CHROMA_NOISE_SHARE * _grain((height, width, 3), rng)
    noisy = blurred + video.noise_sigma * (shared + own)
    return np.clip(noisy.round(), 0, 255).astype(np.uint8)


def _grain(shape: tuple[int, int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    grain = ndimage.gaussian_filter(
        rng.standard_normal(shape), (NOISE_GRAIN_SIGMA_PX, NOISE_GRAIN_SIGMA_PX, 0)
    )
    return grain / grain.std()
