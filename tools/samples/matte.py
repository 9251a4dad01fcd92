"""Cuts people out of the clips: a rough outline, refined by GrabCut, with clean edges."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from tools.samples.scene import Person

__all__ = ["cut_out"]

BAND_PX = 9
"""How far, in clip pixels, the true outline may be from the drawn one."""
GRABCUT_ROUNDS = 4
EDGE_SIGMA_PX = 1.3
MARGIN_PX = 24
"""Transparent border around every cut-out, so that a resampling filter never meets its end."""

Rgb = npt.NDArray[np.uint8]


def cut_out(frame: Rgb, person: Person, nose_px: tuple[float, float]) -> Image.Image:
    """Cuts `person` out of one clip frame.

    Args:
        frame: The clip's frame, shape (350, 350, 3), RGB.
        person: Who, with the rough outline of head and body.
        nose_px: Where the nose is in this frame, in clip pixels.

    Returns:
        An RGBA picture, larger than the frame by `MARGIN_PX` transparent pixels on each side that
        the person does not leave the clip through.
    """
    alpha = _soft_edge(_refine(frame, _outline(frame.shape[:2], person, nose_px)))
    lit = np.clip(_clean_edge_colours(frame, alpha) * np.asarray(person.gain_rgb), 0, 255)
    rgba = np.dstack([lit, alpha * 255]).round().astype(np.uint8)
    pad = ((MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX))
    # Bodies cut by the clip's border are cut by the picture's border or hidden behind the planter:
    # repeating the border's pixels keeps that edge opaque.
    padded = np.stack([np.pad(rgba[..., c], pad, mode="edge") for c in range(4)], axis=-1)
    return Image.fromarray(padded, "RGBA")


def _outline(
    shape: tuple[int, ...], person: Person, nose_px: tuple[float, float]
) -> npt.NDArray[np.bool_]:
    mask = Image.new("L", (shape[1], shape[0]), 0)
    draw = ImageDraw.Draw(mask)
    head = [(x + nose_px[0], y + nose_px[1]) for x, y in person.head_polygon_px]
    draw.polygon(head, fill=1)
    draw.polygon(list(person.body_polygon_px), fill=1)
    return np.asarray(mask) > 0


def _refine(frame: Rgb, outline: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    # With the border counted as inside, erosion does not eat what leaves the clip.
    inside = np.asarray(
        ndimage.binary_erosion(outline, iterations=BAND_PX, border_value=1), np.bool_
    )
    near = np.asarray(ndimage.binary_dilation(outline, iterations=BAND_PX), np.bool_)
    mask = np.full(outline.shape, cv2.GC_BGD, np.uint8)
    mask[near] = cv2.GC_PR_BGD
    mask[outline] = cv2.GC_PR_FGD
    mask[inside] = cv2.GC_FGD
    cv2.setRNGSeed(1)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(frame[..., ::-1])
    cv2.grabCut(
        bgr, mask, (0, 0, 1, 1), background, foreground, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK
    )
    found = (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)
    found = np.asarray(ndimage.binary_opening(found, iterations=2), np.bool_) | inside
    return np.asarray(ndimage.binary_fill_holes(found), np.bool_)


def _soft_edge(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    inner = np.asarray(ndimage.binary_erosion(mask, border_value=1), np.float64)
    return np.asarray(ndimage.gaussian_filter(inner, EDGE_SIGMA_PX), np.float64)


def _clean_edge_colours(frame: Rgb, alpha: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Half-transparent pixels carry the clip's background: give them their nearest solid colour.
    solid = alpha > 0.9
    nearest: Any = ndimage.distance_transform_edt(
        ~solid, return_distances=False, return_indices=True
    )
    rows, columns = nearest
    return frame[rows, columns].astype(np.float64)
