"""What the street's people stand in: a street at night behind them, a planter before some."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

__all__ = ["camera_caption", "planter", "street_backdrop"]

Rgb = npt.NDArray[np.uint8]

BACKDROP_CROP_XYXY_PX = (0.0, 8.0, 350.0, 204.875)
"""The part of the clip's street that becomes the backdrop: 16 by 9."""
DEFOCUS_SIGMA_PX = 1.6
"""In reference pixels: hides that the backdrop is enlarged."""

HEDGE_TOP_PX, KERB_TOP_PX, GROUND_TOP_PX = 468, 556, 650
"""Rows, in reference pixels, where the hedge, its concrete trough and the pavement begin."""


def street_backdrop(clip_frame: Rgb, size_px: tuple[int, int]) -> Image.Image:
    """Enlarges one frame of a street to a backdrop of `size_px` (width, height)."""
    picture = Image.fromarray(clip_frame).resize(
        size_px, Image.Resampling.LANCZOS, box=BACKDROP_CROP_XYXY_PX
    )
    soft = ndimage.gaussian_filter(
        np.asarray(picture, np.float64), (DEFOCUS_SIGMA_PX, DEFOCUS_SIGMA_PX, 0)
    )
    return Image.fromarray(np.clip(soft * 0.85, 0, 255).astype(np.uint8))


def planter(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draws a hedge in a concrete trough on a pavement, RGBA, transparent above the hedge.

    Args:
        size_px: Width and height of the whole picture, in reference pixels.
        rng: Source of the leaves and of the stains.

    Returns:
        A picture of `size_px` to lay over the people who stand behind the hedge.
    """
    width, height = size_px
    rows = np.arange(height)[:, None]
    leaves = _leaves((height, width), rng)
    concrete = 74 + 9 * _texture((height, width), rng, 2.0) + 7 * _texture((height, width), rng, 25)
    concrete -= 30 * ((np.arange(width)[None, :] % 320) < 3)
    concrete -= 0.25 * (rows - KERB_TOP_PX).clip(0)
    concrete += 22 * ((rows >= KERB_TOP_PX) & (rows < KERB_TOP_PX + 8))
    ground = 46 + 6 * _texture((height, width), rng, 1.5) + 9 * _texture((height, width), rng, 40)
    ground -= 26 * np.exp(-((rows - GROUND_TOP_PX).clip(0)) / 8.0)
    grey = np.where(rows >= GROUND_TOP_PX, ground, concrete)
    stone = grey[..., None] * np.array([1.06, 1.0, 0.90])
    rgb = np.where((rows >= KERB_TOP_PX)[..., None], stone, leaves)
    ragged = HEDGE_TOP_PX + 4 * _texture((1, width), rng, 22.0)
    ragged = ragged + 3.5 * _texture((height, width), rng, 2.5)
    alpha = np.clip((rows - ragged) / 3.0 + 0.5, 0, 1) * 255
    return Image.fromarray(np.clip(np.dstack([rgb, alpha]), 0, 255).astype(np.uint8), "RGBA")


def camera_caption(picture: Image.Image, time_s: float) -> None:
    """Burns a surveillance camera's name and clock into `picture`, in place."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(26)
    clock = f"2024-11-08  21:47:{12 + int(time_s):02d}"
    for text, x in (("CAM 03  GATE WEST", 24), (clock, picture.width - 330)):
        draw.text((x, 16), text, (235, 235, 235), font=font, stroke_width=2, stroke_fill=(0, 0, 0))


def _texture(
    shape: tuple[int, int], rng: np.random.Generator, sigma_px: float
) -> npt.NDArray[np.float64]:
    """Smooth noise with zero mean and unit deviation."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma_px, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def _leaves(shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    light = 0.6 * _texture(shape, rng, 2.2) + 0.8 * _texture(shape, rng, 9.0)
    depth = (np.arange(shape[0])[:, None] - HEDGE_TOP_PX) / (KERB_TOP_PX - HEDGE_TOP_PX)
    level = np.clip(38 + 17 * light - 18 * depth, 6, 110)
    return level[..., None] * np.array([0.82, 1.08, 0.62])
