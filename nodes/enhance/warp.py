"""Warping faces between the frame's pixels and the network's square, on the network's device.

Convention: transforms are 2x3 between continuous coordinates with pixel centres at +0.5, as
everywhere in these nodes. Kornia counts pixel centres as integers (`align_corners=True`), so they
are shifted by half a pixel where they enter it. Tensors are (B, 3, H, W) float32 RGB, images in
[0, 1], residuals in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from kornia.geometry.transform import warp_affine
from torch import Tensor

from nodes.enhance.separable import applied, averaged, gaussian, on_device
from nodes.geometry.alignment import Matrix, compose, face_oval_mask, similarity_scale
from nodes.types import FaceHistory, FacePatch

__all__ = [
    "Bucket",
    "align_patches",
    "bucket_of",
    "cut_to_regions",
    "mask_residuals",
    "own_detail",
    "regions_of",
    "unalign_residuals",
]

_LEAST_PADDED_PX = 32
"""Regions are padded to this side, or 1.5, 2, 3, 4, 6 ... times it, so that faces share batches."""

_LOW_FREQUENCY_SIGMA = 0.12
"""Standard deviation, in sides of the square, above which changes of colour and light are removed
from the residual."""

_COARSE_PX = 32
"""Side of the grid on which these are computed, px."""

_SIDE_TAP = 1 / 20
"""Outer taps of the low-pass filter before a reduction by 1; they grow with its square."""
_MOST_BLURRED = 2.5
"""Widest box, px, that a filter of three taps approximates."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The sizes that faces of one batch have in common. They depend on each face only."""

    size_px: int
    padded_px: int
    """Side of the square that the region is padded to, source pixels."""
    scale: int
    shrink_in: int
    """Samples per side that are averaged into one pixel of the aligned square."""
    pool_out: int
    """Pixels per side of the square that are averaged before the way to the output's grid."""
    finer_out: int
    """Samples per side that are averaged into one pixel of the output."""
    finer: int
    """`FaceHistory.finer`; 1 for faces without a history."""


def bucket_of(patch: FacePatch) -> Bucket:
    """Return the bucket that a patch belongs to."""
    minification = _minification(patch)
    # Where the output is much smaller than the square, it is averaged.
    finer = 2 if minification >= 2 else 1
    return Bucket(
        size_px=patch.size_px,
        padded_px=_padded_px(max(patch.rgb.shape[:2])),
        scale=patch.scale,
        # Rounded down where that blurs only a little.
        shrink_in=max(1, math.ceil(1 / similarity_scale(patch.crop_from_region) - 0.25)),
        pool_out=math.ceil(minification / finer / _MOST_BLURRED),
        finer_out=finer,
        finer=1 if patch.history is None else patch.history.finer,
    )


def _minification(patch: FacePatch) -> float:
    """Return the width of an output pixel in pixels of the square, at least 1."""
    return max(1.0, similarity_scale(patch.crop_from_region) / patch.scale)


def _padded_px(longest_px: int) -> int:
    side = _LEAST_PADDED_PX
    while side < longest_px:
        side *= 2
    return side * 3 // 4 if side * 3 // 4 >= max(longest_px, _LEAST_PADDED_PX) else side


def align_patches(
    patches: Sequence[FacePatch],
    bucket: Bucket,
    device: torch.device,
    *,
    with_history: bool = False,
) -> Tensor:
    """Warp regions to the aligned square.

    Args:
        patches: all of `bucket`.
        bucket: see there.
        device: the network's device.
        with_history: whether to append the history.

    Returns:
        (B, 3, S, S) in [0, 1], or with history (B, 7, S, S) as in `aminet.history`. Beyond the
        frame the region's edge is replicated.
    """
    factor, crop_from_regions = bucket.shrink_in, _stacked(patches)

    def aligned(images: Tensor, crop_from_images: npt.NDArray[np.float64]) -> Tensor:
        fine = _warp(images, factor * crop_from_images, bucket.size_px * factor, "border")
        return averaged(fine, factor).clamp(0, 1)

    regions = regions_of(patches, bucket, device)
    if not with_history:
        return aligned(regions, crop_from_regions)
    fused, weights, region_from_fused = _histories_of(patches, bucket, device)
    both = aligned(torch.cat((regions, weights), dim=1), crop_from_regions)
    crop_from_fused = [compose(crop, region_from_fused) for crop in crop_from_regions]
    history = aligned(fused, np.stack(crop_from_fused))
    return torch.cat((both[:, :3], history, both[:, 3:]), dim=1)


def regions_of(patches: Sequence[FacePatch], bucket: Bucket, device: torch.device) -> Tensor:
    """Copy the faces' regions to a device.

    Args:
        patches: all of `bucket`, and of one bit depth.
        bucket: see there.
        device: the network's device.

    Returns:
        (B, 3, P, P) in [0, 1], P = padded side; the padding replicates the region's edge.
    """
    top = float((1 << patches[0].bit_depth) - 1)
    return _on_device([patch.rgb for patch in patches], bucket.padded_px, device) / top


def _histories_of(
    patches: Sequence[FacePatch], bucket: Bucket, device: torch.device
) -> tuple[Tensor, Tensor, Matrix]:
    """Copy the faces' histories to a device.

    A face without history is its own fused face, with weight 0.

    Returns:
        The fused faces, (B, 3, f P, f P), f = `bucket.finer`; their weights, (B, 1, P, P); and the
        transform from the coordinates of the former to those of the regions.
    """
    top, side = float((1 << patches[0].bit_depth) - 1), bucket.padded_px
    histories = [
        patch.history or FaceHistory(patch.rgb, np.zeros(patch.rgb.shape[:2], np.uint8))
        for patch in patches
    ]
    pictures = [history.fused_rgb for history in histories]
    fused = _on_device(pictures, bucket.finer * side, device) / top
    weights = _on_device([history.weight[..., None] for history in histories], side, device) / 255
    return fused, weights, histories[0].region_from_fused


def _on_device(pictures: Sequence[npt.NDArray[Any]], side_px: int, device: torch.device) -> Tensor:
    """Copy pictures (H, W, C) of one dtype to a device, as (B, C, side, side) float32."""
    # torch has few operations for uint16, so int32 is used.
    kind = torch.uint8 if pictures[0].dtype == np.uint8 else torch.int32
    codes = _on_host((len(pictures), side_px, side_px, pictures[0].shape[2]), kind, device)
    for square, picture in zip(codes.numpy(), pictures, strict=True):
        _fill_by_repeating(square, picture)
    return codes.to(device, non_blocking=True).permute(0, 3, 1, 2).to(torch.float32)


def mask_residuals(residuals: Tensor, patches: Sequence[FacePatch]) -> Tensor:
    """Apply `own_detail` and the face mask to residuals.

    Args:
        residuals: (B, 3, S, S).
        patches: the patch of each.

    Returns:
        (B, 3, S, S), exactly 0 outside the masks.
    """
    return own_detail(residuals, patches) * _ovals(patches, residuals.shape[-1], residuals.device)


def own_detail(residuals: Tensor, patches: Sequence[FacePatch]) -> Tensor:
    """Remove the low frequencies of residuals, so that colour and light stay those of the source.

    They are measured over the pixels that are under the mask and inside the frame.

    Args:
        residuals: (B, 3, S, S).
        patches: the patch of each.

    Returns:
        (B, 3, S, S).
    """
    size_px = residuals.shape[-1]
    mask = _ovals(patches, size_px, residuals.device)
    weights = _inside(patches, size_px, residuals.device) * mask
    # On a coarse grid so wide a blur loses nothing and costs a hundredth.
    both = F.avg_pool2d(torch.cat([residuals * weights, weights], dim=1), size_px // _COARSE_PX)
    sigma_px = torch.tensor([_LOW_FREQUENCY_SIGMA * _COARSE_PX])
    blurred = applied(gaussian(sigma_px, _COARSE_PX, both.device).expand(len(both), -1, -1), both)
    coarse = blurred[:, :3] / blurred[:, 3:].clamp_min(1e-4)
    slow = F.interpolate(coarse, size=(size_px, size_px), mode="bilinear", align_corners=False)
    return residuals - slow


def unalign_residuals(residuals: Tensor, patches: Sequence[FacePatch], bucket: Bucket) -> Tensor:
    """Warp residuals from the square to the output frame's grid.

    Args:
        residuals: (B, 3, S, S), 0 at the edges.
        patches: the patch of each; all of `bucket`.
        bucket: see there.

    Returns:
        (B, 3, P, P), P = padded side * scale: each face's region with the padding.
    """
    pool, finer = bucket.pool_out, bucket.finer_out
    # A box of width m has the variance m * m / 12; three taps add what interpolation lacks.
    widths = torch.tensor([_minification(patch) / finer / pool for patch in patches])
    filtered = _smoothed(
        averaged(residuals, pool), on_device(_SIDE_TAP * widths**2, residuals.device)
    )
    fine_from_pooled = bucket.scale * finer * _inverted(_stacked(patches))
    fine_from_pooled[:, :, :2] *= pool
    fine = _warp(filtered, fine_from_pooled, bucket.padded_px * bucket.scale * finer, "zeros")
    return averaged(fine, finer)


def cut_to_regions(on_grid: Tensor, patches: Sequence[FacePatch]) -> list[npt.NDArray[np.float16]]:
    """Copy residuals (B, 3, P, P) to the host, without the padding.

    Returns:
        For each, shape (region height * scale, region width * scale, 3).
    """
    images = on_grid.permute(0, 2, 3, 1).to(torch.float16, memory_format=torch.contiguous_format)
    if images.device.type != "cpu":
        images = _on_host(images.shape, images.dtype, images.device).copy_(images)
    cut: list[npt.NDArray[np.float16]] = []
    for image, patch in zip(images.numpy(), patches, strict=True):
        height, width = (side * patch.scale for side in patch.rgb.shape[:2])
        cut.append(image[:height, :width].copy())
    return cut


def _smoothed(images: Tensor, sides: Tensor) -> Tensor:
    """Blur (B, C, H, W) by three taps per axis, the outer ones `sides` (B,); padded with 0."""
    side = sides[:, None, None, None]
    padded = F.pad(images, (1, 1, 1, 1))
    rows = (1 - 2 * side) * padded[..., 1:-1] + side * (padded[..., :-2] + padded[..., 2:])
    return (1 - 2 * side) * rows[..., 1:-1, :] + side * (rows[..., :-2, :] + rows[..., 2:, :])


def _on_host(shape: Sequence[int], kind: torch.dtype, device: torch.device) -> Tensor:
    """Return a host tensor for transfers: pinned for a GPU, which is several times as fast.

    torch reuses pinned memory for the next batch.
    """
    return torch.empty(tuple(shape), dtype=kind, pin_memory=device.type == "cuda")


def _fill_by_repeating(square: npt.NDArray[Any], picture: npt.NDArray[Any]) -> None:
    height, width = picture.shape[:2]
    square[:height, :width] = picture
    square[:height, width:] = picture[:, -1:]
    square[height:] = square[height - 1]


def _stacked(patches: Sequence[FacePatch]) -> npt.NDArray[np.float64]:
    """Return `crop_from_region` of each: (B, 2, 3)."""
    return np.stack([patch.crop_from_region for patch in patches])


def _inverted(a_from_b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return `b_from_a` of each: (B, 2, 3)."""
    linear = np.linalg.inv(a_from_b[:, :, :2]).astype(np.float64, copy=False)
    return np.concatenate([linear, -linear @ a_from_b[:, :, 2:]], axis=2)


def _warp(
    images: Tensor, out_from_image: npt.NDArray[np.float64], side_px: int, padding: str
) -> Tensor:
    integer = out_from_image.copy()
    # From continuous to integer pixel coordinates, which differ by 0.5, on both sides.
    integer[:, :, 2] += 0.5 * integer[:, :, 0] + 0.5 * integer[:, :, 1] - 0.5
    matrices = on_device(torch.from_numpy(integer.astype(np.float32)), images.device)
    return warp_affine(
        images,
        matrices,
        (side_px, side_px),
        mode="bicubic",
        padding_mode=padding,
        align_corners=True,
    )


def _ovals(patches: Sequence[FacePatch], size_px: int, device: torch.device) -> Tensor:
    """Return each face's mask, (B, 1, S, S); equal masks are copied to the device once."""
    ovals = [face_oval_mask(size_px, patch.yaw_deg) for patch in patches]
    distinct = {id(oval): oval for oval in ovals}
    row_of = {name: row for row, name in enumerate(distinct)}
    table = on_device(torch.from_numpy(np.stack(list(distinct.values()))), device)
    rows = on_device(torch.tensor([row_of[id(oval)] for oval in ovals]), device)
    return table[rows][:, None]


def _inside(patches: Sequence[FacePatch], size_px: int, device: torch.device) -> Tensor:
    """Return (B, 1, S, S): 1 where the square's pixel lies inside the region, else 0."""
    sides = np.array([patch.rgb.shape[1::-1] for patch in patches])[:, :, None]
    numbers = np.concatenate([_inverted(_stacked(patches)), sides], axis=2).astype(np.float32)
    (xx, xy, x0, width), (yx, yy, y0, height) = on_device(
        torch.from_numpy(numbers), device
    ).permute(1, 2, 0)[:, :, :, None, None, None]
    centre = torch.arange(size_px, device=device) + 0.5
    across, down = centre[None, :], centre[:, None]
    x = xx * across + xy * down + x0
    y = yx * across + yy * down + y0
    return ((x >= 0) & (x <= width) & (y >= 0) & (y <= height)).to(torch.float32)
