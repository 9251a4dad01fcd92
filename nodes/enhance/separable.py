"""Separable linear filters as matrices: one for each face of a batch, applied by two products.

Faces of a batch then need not have the same filter, and a filter takes two launches whatever its
number of taps.

Convention: images are (B, C, H, W) float32; a matrix (B, P, Q) takes Q samples of a line to P.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["applied", "averaged", "enlarged", "enlarged_and_averaged", "gaussian", "on_device"]


def applied(matrices: Tensor, images: Tensor) -> Tensor:
    """Filter each image along both axes.

    Args:
        matrices: (B, P, Q).
        images: (B, C, Q, Q).

    Returns:
        (B, C, P, P).
    """
    count, channels, side, _ = images.shape
    across = images.reshape(count, channels * side, side) @ matrices.transpose(1, 2)
    return matrices[:, None] @ across.reshape(count, channels, side, -1)


def gaussian(sigmas_px: Tensor, side_px: int, device: torch.device) -> Tensor:
    """Return matrices that blur lines by Gaussians and repeat their ends.

    Args:
        sigmas_px: (B,) standard deviations, positive; on the CPU.
        side_px: samples of a line.
        device: where the matrices are needed.

    Returns:
        (B, side_px, side_px). Taps beyond three deviations are 0, so that a face does not depend on
        the others in the batch.
    """
    farthest = int(torch.ceil(3 * sigmas_px.max()))
    sigmas = on_device(sigmas_px.to(torch.float32), device)[:, None, None]
    place = torch.arange(side_px, device=device, dtype=torch.float32)
    beyond = torch.arange(-farthest, side_px + farthest, device=device, dtype=torch.float32)
    distance = (beyond[None, :] - place[:, None])[None]
    taps = torch.exp(-0.5 * (distance / sigmas).square())
    taps = taps * (distance.abs() <= torch.ceil(3 * sigmas))
    taps = taps / taps.sum(dim=2, keepdim=True)
    inner = taps[:, :, farthest : farthest + side_px].clone()
    inner[:, :, 0] += taps[:, :, :farthest].sum(dim=2)
    inner[:, :, -1] += taps[:, :, farthest + side_px :].sum(dim=2)
    return inner


@lru_cache(maxsize=64)
def enlarged_and_averaged(side_px: int, scale: int, device: torch.device) -> Tensor:
    """Return the matrix (1, side_px, side_px) that is `averaged` after `enlarged`, by one scale."""
    lines = torch.eye(side_px, device=device)[None]
    if scale > 1:
        lines = F.interpolate(lines, scale_factor=scale, mode="linear", align_corners=False)
    return F.avg_pool1d(lines, scale).transpose(1, 2).contiguous()


def enlarged(images: Tensor, scale: int) -> Tensor:
    """Enlarge images by linear interpolation."""
    if scale == 1:
        return images
    return F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)


def averaged(images: Tensor, factor: int) -> Tensor:
    """Average blocks of `factor` by `factor` pixels of (B, C, H, W)."""
    # Pooling by 1 would copy.
    return F.avg_pool2d(images, factor) if factor > 1 else images


def on_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the CPU to a device, without waiting for the device."""
    # Copies of memory that is not pinned wait for all earlier work.
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values
