"""Faces between the frame's pixels and the network's square, on the device that runs it.

Convention: transforms are 2x3 between continuous coordinates with pixel centres at +0.5, as
everywhere in these nodes. Kornia counts pixel centres as integers (`align_corners=True`), so they
are shifted by half a pixel where they enter it. Tensors are (B, 3, H, W) float32 RGB, images in
[0, 1], residuals in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import warp_affine
from torch import Tensor

from nodes.geometry import Matrix, compose, face_oval_mask, invert, scaling, similarity_scale
from nodes.types import FacePatch

__all__ = [
    "Bucket",
    "align_patches",
    "averaged",
    "bucket_of",
    "cut_to_regions",
    "mask_residuals",
    "smoothed",
    "unalign_residuals",
]

_GRAIN_PX = 32
"""Regions are padded to multiples of this, so that they share batches."""

_LOW_FREQUENCY_SIGMA = 0.12
"""Of the square's side: coarser changes of colour and light than this stay the source's."""

_COARSE_PX = 32

_SIDE_TAP = 1 / 20
_MOST_BLURRED = 2.5
"""Three taps stand for a box up to so many pixels wide."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What faces must have in common to share a batch. Follows from each face alone."""

    size_px: int
    padded_px: int
    """Side of the square that the region is padded to, at source resolution."""
    scale: int
    shrink_in: int
    """Samples an edge that are averaged into one pixel of the aligned square."""
    quarters_out: int
    """Pixels of the square, in quarters, that an output pixel covers along an edge."""


def bucket_of(patch: FacePatch) -> Bucket:
    """Return the bucket that a patch belongs to."""
    longest_px = max(patch.rgb.shape[:2])
    crop_px_per_source_px = similarity_scale(patch.crop_from_region)
    return Bucket(
        size_px=patch.size_px,
        padded_px=-(-longest_px // _GRAIN_PX) * _GRAIN_PX,
        scale=patch.scale,
        # A little blur is not worth one sample more.
        shrink_in=max(1, math.ceil(1 / crop_px_per_source_px - 0.25)),
        quarters_out=max(4, round(4 * crop_px_per_source_px / patch.scale)),
    )


def align_patches(patches: Sequence[FacePatch], bucket: Bucket, device: torch.device) -> Tensor:
    """Warp regions to the aligned square.

    Args:
        patches: all of `bucket`.
        bucket: see there.
        device: where to work.

    Returns:
        (B, 3, S, S) in [0, 1]; beyond the frame the region's edge is repeated.
    """
    side = bucket.padded_px
    stack = np.stack([_pad_by_repeating(patch.rgb, side) for patch in patches])
    top = float((1 << patches[0].bit_depth) - 1)
    # torch has few operations on uint16; int32 holds all codes.
    codes = torch.from_numpy(stack if stack.dtype == np.uint8 else stack.astype(np.int32))
    regions = codes.to(device).permute(0, 3, 1, 2).to(torch.float32) / top
    factor = bucket.shrink_in
    fine_from_region = [compose(scaling(factor), p.crop_from_region) for p in patches]
    fine = _warp(regions, fine_from_region, bucket.size_px * factor, "border")
    return averaged(fine, factor).clamp(0, 1)


def mask_residuals(residuals: Tensor, patches: Sequence[FacePatch]) -> Tensor:
    """Keep of the network's residuals what belongs on the face.

    Slow changes over the face (its colour and light) are taken out, measured over those pixels
    that the mask covers and that lie inside the frame; then the feathered oval is applied.

    Args:
        residuals: (B, 3, S, S).
        patches: where each came from.

    Returns:
        (B, 3, S, S), exactly 0 outside the oval.
    """
    size_px = residuals.shape[-1]
    ovals = np.stack([face_oval_mask(size_px, patch.yaw_deg) for patch in patches])
    mask = torch.from_numpy(ovals).to(residuals.device)[:, None]
    weights = torch.stack([_inside(p, size_px, residuals.device) for p in patches])[:, None] * mask
    # So coarse a blur loses nothing on a coarse grid, and costs a hundredth there.
    both = F.avg_pool2d(torch.cat([residuals * weights, weights], dim=1), size_px // _COARSE_PX)
    sigma = _LOW_FREQUENCY_SIGMA * both.shape[-1]
    taps = 2 * math.ceil(2.5 * sigma) + 1
    blurred = gaussian_blur2d(both, (taps, taps), (sigma, sigma), border_type="constant")
    coarse = blurred[:, :3] / blurred[:, 3:].clamp_min(1e-4)
    slow = F.interpolate(coarse, size=(size_px, size_px), mode="bilinear", align_corners=False)
    return (residuals - slow) * mask


def unalign_residuals(residuals: Tensor, patches: Sequence[FacePatch], bucket: Bucket) -> Tensor:
    """Warp residuals from the square to the output frame's grid.

    Args:
        residuals: (B, 3, S, S), 0 at the edges.
        patches: where each goes; all of `bucket`.
        bucket: see there.

    Returns:
        (B, 3, P, P), P = padded side * scale: each face's region with the padding.
    """
    minification = bucket.quarters_out / 4
    # Averaging 2x2 samples costs nothing where the output is that much smaller than the square.
    finer = 2 if minification >= 2 else 1
    pool, filtered = _prefiltered(residuals, minification / finer)
    fine_from_pooled = [
        compose(compose(scaling(bucket.scale * finer), invert(p.crop_from_region)), scaling(pool))
        for p in patches
    ]
    fine = _warp(filtered, fine_from_pooled, bucket.padded_px * bucket.scale * finer, "zeros")
    return averaged(fine, finer)


def cut_to_regions(on_grid: Tensor, patches: Sequence[FacePatch]) -> list[npt.NDArray[np.float16]]:
    """Bring padded residuals (B, 3, P, P) to the host, without the padding.

    Returns:
        For each, shape (region height * scale, region width * scale, 3).
    """
    images = on_grid.permute(0, 2, 3, 1).to(torch.float16).cpu().numpy()
    cut: list[npt.NDArray[np.float16]] = []
    for image, patch in zip(images, patches, strict=True):
        height, width = (side * patch.scale for side in patch.rgb.shape[:2])
        cut.append(image[:height, :width].copy())
    return cut


def _prefiltered(images: Tensor, minification: float) -> tuple[int, Tensor]:
    """Take out what an output grid that is `minification` times coarser cannot hold.

    Averages whole pixels as far as they go, and blurs for the rest: a quarter of the cost of
    sampling a finer grid and averaging that.

    Returns:
        How many pixels an edge were averaged into one, and the smaller images.
    """
    pool = math.ceil(minification / _MOST_BLURRED)
    # A box m wide has variance m * m / 12; what interpolation lacks of it goes into three taps.
    side = _SIDE_TAP * (minification / pool) ** 2
    return pool, smoothed(averaged(images, pool), side)


def smoothed(images: Tensor, side: float) -> Tensor:
    """Blur with three taps each way, the outer ones `side`; beyond the edge lies 0."""
    padded = F.pad(images, (1, 1, 1, 1))
    rows = (1 - 2 * side) * padded[..., 1:-1] + side * (padded[..., :-2] + padded[..., 2:])
    return (1 - 2 * side) * rows[..., 1:-1, :] + side * (rows[..., :-2, :] + rows[..., 2:, :])


def averaged(images: Tensor, factor: int) -> Tensor:
    """Average blocks of `factor` by `factor` pixels into one."""
    # Pooling by 1 copies, slowly.
    return F.avg_pool2d(images, factor) if factor > 1 else images


def _pad_by_repeating(rgb: npt.NDArray[np.generic], side_px: int) -> npt.NDArray[np.generic]:
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, side_px - height), (0, side_px - width), (0, 0)), mode="edge")


def _warp(images: Tensor, out_from_image: Sequence[Matrix], side_px: int, padding: str) -> Tensor:
    integer = np.stack(out_from_image).astype(np.float64)
    # Continuous coordinates are integer ones plus a half, on both sides.
    integer[:, :, 2] += 0.5 * integer[:, :, 0] + 0.5 * integer[:, :, 1] - 0.5
    matrices = torch.from_numpy(integer).to(images.device, torch.float32)
    return warp_affine(
        images,
        matrices,
        (side_px, side_px),
        mode="bicubic",
        padding_mode=padding,
        align_corners=True,
    )


def _inside(patch: FacePatch, size_px: int, device: torch.device) -> Tensor:
    """Return (S, S): 1 where the square's pixel lies inside the region, else 0."""
    height, width = patch.rgb.shape[:2]
    linear = torch.from_numpy(invert(patch.crop_from_region)).to(device, torch.float32)
    centre = torch.arange(size_px, device=device) + 0.5
    x = linear[0, 0] * centre[None, :] + linear[0, 1] * centre[:, None] + linear[0, 2]
    y = linear[1, 0] * centre[None, :] + linear[1, 1] * centre[:, None] + linear[1, 2]
    return ((x >= 0) & (x <= width) & (y >= 0) & (y <= height)).to(torch.float32)
