"""The evidence stays the evidence: a restored face, degraded again, must match the source.

What the network adds is degraded as the camera would have: averaged over the source's pixels and
blurred as the source is. A sharp picture of the face, degraded so, is the source: it differs from
the source degraded once more by the source's own detail of that size. So what the network adds may
be seen as anything between nothing and that detail, pixel by pixel. What goes beyond, either way,
contradicts the source; so much of it as exceeds the tolerance is taken back.

Source: M. Irani, S. Peleg, "Improving Resolution by Image Registration", CVGIP 1991 (iterative
back-projection); stopping at the noise is V. A. Morozov's discrepancy principle.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nodes.enhance.warp import averaged

__all__ = ["LOSSY_TOLERANCE", "TOLERANCE", "back_project"]

TOLERANCE: Final = 0.008
"""Root mean square over the mask, of full scale: 42 dB. Exact agreement costs a third of what the
network gains."""
LOSSY_TOLERANCE: Final = 0.016
"""36 dB: so far does compression alone move a face (H.264 at CRF 28, JPEG at quality 40), and
undoing that is no contradiction."""

_LENS_PX: Final = 0.5
"""Least blur of a lens, in source pixels."""
_NARROWEST_PX: Final = 0.1
_PASSES: Final = 3


def back_project(
    residuals: Tensor, scale: int, sources: Tensor, blurs_px: Tensor, tolerances: Tensor
) -> tuple[Tensor, Tensor]:
    """Take back what contradicts the source.

    Args:
        residuals: (B, 3, H, W) on the output's grid, sides multiples of `scale`; exactly 0
            outside the face masks.
        scale: output pixels per source pixel.
        sources: (B, 3, H / scale, W / scale), what was seen, in [0, 1].
        blurs_px: (B,) by which Gaussian blur each is softer than a sharp picture, in source pixels;
            on the CPU, where it is read how far they reach.
        tolerances: (B,) root mean square that is no contradiction, of full scale.

    Returns:
        (B, 3, H, W), exactly 0 where `residuals` are; and (B,) how well faces with these match the
        source, as PSNR over the masks in dB. Each depends on its own input alone.
    """
    covered = (residuals.abs().amax(dim=1, keepdim=True) > 0).to(residuals.dtype)
    weights = averaged(covered, scale)
    own = sources - _blurred(sources, _gaussians(blurs_px, sources.device))
    lens = _gaussians(blurs_px.clamp_min(_LENS_PX), sources.device)
    lowest, highest = own.clamp(max=0), own.clamp(min=0)
    seen = _blurred(averaged(residuals, scale), lens)
    back = torch.zeros_like(seen)
    allowed = tolerances[:, None, None, None]
    excess = seen - seen.clamp(lowest, highest)
    deviation = _deviation(excess, weights)
    for _ in range(_PASSES):
        if _settled(deviation <= allowed):
            break
        step = excess * (1 - allowed / torch.maximum(deviation, allowed))
        back += step
        seen = seen - _blurred(averaged(_enlarged(step, scale), scale), lens)
        excess = seen - seen.clamp(lowest, highest)
        deviation = _deviation(excess, weights)
    if not _settled(back == 0):
        residuals = (residuals - _enlarged(back, scale)) * covered
    return residuals, -20 * torch.log10(deviation.clamp_min(1e-6)).flatten()


def _settled(all_of: Tensor) -> bool:
    """Say whether there is nothing left to do.

    A GPU is not asked, since it would have to be waited for; one more pass then changes nothing.
    """
    return all_of.device.type == "cpu" and bool(all_of.all())


def _deviation(excess: Tensor, weights: Tensor) -> Tensor:
    """Root mean square over the masks; (B, 1, 1, 1)."""
    squares = (excess.square() * weights).sum(dim=(1, 2, 3), keepdim=True)
    return (squares / (3 * weights.sum(dim=(1, 2, 3), keepdim=True)).clamp_min(1)).sqrt()


def _enlarged(images: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return images
    return F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)


def _gaussians(sigmas_px: Tensor, device: torch.device) -> Tensor:
    """Return each face's own kernel, (B, taps), for as many taps as the widest one needs.

    Beyond three deviations of its own a face's taps are 0, so none depends on the others.
    """
    sigmas_px = sigmas_px.clamp_min(_NARROWEST_PX)
    reach = torch.ceil(3 * sigmas_px)[:, None]
    farthest = int(reach.max())
    offset_px = torch.arange(-farthest, farthest + 1, dtype=sigmas_px.dtype)
    weights = torch.exp(-offset_px.square() / (2 * sigmas_px.square()[:, None]))
    weights *= offset_px.abs() <= reach
    return (weights / weights.sum(dim=1, keepdim=True)).to(device)


def _blurred(images: Tensor, gaussians: Tensor) -> Tensor:
    """Blur each face of (B, C, H, W) by its kernel; beyond the edge it goes on as at the edge."""
    count, channels, height, width = images.shape
    kernels = gaussians.repeat_interleave(channels, dim=0)
    around = gaussians.shape[1] // 2
    planes = images.reshape(1, count * channels, height, width)
    for kernel, pad in (
        (kernels[:, None, :, None], (0, 0, around, around)),
        (kernels[:, None, None, :], (around, around, 0, 0)),
    ):
        padded = F.pad(planes, pad, mode="replicate")
        planes = F.conv2d(padded, kernel, groups=count * channels)
    return planes.reshape(images.shape)
