"""The evidence stays the evidence: a restored face, degraded again, must match the source.

What the network adds is degraded as the camera would have: blurred by a lens and averaged over the
source's pixels. Whatever is left then is no detail that the source could not hold, but contradicts
what it shows. So much of it as exceeds the tolerance is taken back.

Source: M. Irani, S. Peleg, "Improving Resolution by Image Registration", CVGIP 1991 (iterative
back-projection); stopping at the noise is V. A. Morozov's discrepancy principle.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nodes.enhance.warp import averaged, smoothed

__all__ = ["TOLERANCE", "back_project"]

TOLERANCE = 0.008
"""Root mean square over the mask with its feathered rim, of full scale: 42 dB, and 40 dB where the
mask is full. Compression alone moves faces by more, and part of what the network does is undo that:
exact agreement costs a third of its gain."""

_LENS_TAP = 1 / 8
"""Outer taps of the blur: a standard deviation of half a source pixel."""
_PASSES = 3


def back_project(residuals: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Take back what contradicts the source.

    Args:
        residuals: (B, 3, H, W) on the output's grid, sides multiples of `scale`; exactly 0
            outside the face masks.
        scale: output pixels per source pixel.

    Returns:
        (B, 3, H, W), exactly 0 where `residuals` are; and (B,) how well faces with these match the
        source, as PSNR over the masks in dB. Each depends on its own input alone.
    """
    covered = (residuals.abs().amax(dim=1, keepdim=True) > 0).to(residuals.dtype)
    weights = averaged(covered, scale)
    seen = smoothed(averaged(residuals, scale), _LENS_TAP)
    back = torch.zeros_like(seen)
    deviation = _deviation(seen, weights)
    for _ in range(_PASSES):
        if _settled(deviation <= TOLERANCE):
            break
        excess = seen * (1 - TOLERANCE / deviation.clamp_min(TOLERANCE))
        back += excess
        # Enlarged and degraded again it is blurred twice; the variances of small blurs add up.
        seen = seen - smoothed(excess, _round_trip_tap(scale) + _LENS_TAP)
        deviation = _deviation(seen, weights)
    if not _settled(back == 0):
        residuals = (residuals - _enlarged(back, scale)) * covered
    return residuals, -20 * torch.log10(deviation.clamp_min(1e-6)).flatten()


def _settled(all_of: Tensor) -> bool:
    """Say whether there is nothing left to do.

    A GPU is not asked, since it would have to be waited for; one more pass then changes nothing.
    """
    return all_of.device.type == "cpu" and bool(all_of.all())


def _deviation(seen: Tensor, weights: Tensor) -> Tensor:
    """Root mean square over the masks; (B, 1, 1, 1)."""
    squares = (seen.square() * weights).sum(dim=(1, 2, 3), keepdim=True)
    return (squares / (3 * weights.sum(dim=(1, 2, 3), keepdim=True)).clamp_min(1)).sqrt()


def _enlarged(images: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return images
    return F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)


def _round_trip_tap(scale: int) -> float:
    """Return the outer taps of enlarging bilinearly and averaging back: a blur of three taps."""
    offsets = [abs((place + 0.5) / scale - 0.5) for place in range(scale)]
    return sum(offsets) / scale / 2
