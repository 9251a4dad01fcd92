"""Back-projection: a restored face, degraded again, must match the source.

The residual is degraded as the camera would: averaged over the source's pixels and blurred as much
as the source. For the true sharp face the result would be the source minus the source degraded once
more, that is, the source's own finest detail. The degraded residual may therefore be anything
between 0 and that detail, for each pixel. The part outside this range contradicts the source, and
is removed as far as it exceeds the tolerance.

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
"""RMS over the mask, of full scale (42 dB), that is allowed. Exact agreement would cost a third of
the network's gain."""
LOSSY_TOLERANCE: Final = 0.016
"""The same for lossy sources (36 dB): compression alone changes a face as much (H.264 at CRF 28,
JPEG at quality 40), and undoing that does not contradict the source."""

_LENS_PX: Final = 0.5
"""Least blur of a lens: standard deviation in source pixels."""
_NARROWEST_PX: Final = 0.1
"""Least standard deviation of a kernel, px; avoids a division by 0."""
_PASSES: Final = 3
"""Iterations of back-projection."""


def back_project(
    residuals: Tensor, scale: int, sources: Tensor, blurs_px: Tensor, tolerances: Tensor
) -> tuple[Tensor, Tensor]:
    """Remove the part of residuals that contradicts the source.

    Args:
        residuals: (B, 3, H, W) on the output's grid, sides multiples of `scale`; exactly 0
            outside the face masks.
        scale: output pixels per source pixel.
        sources: (B, 3, H / scale, W / scale), the source's faces, in [0, 1].
        blurs_px: (B,) standard deviation of each source's blur, in source pixels; on the CPU.
        tolerances: (B,) allowed RMS, of full scale.

    Returns:
        (B, 3, H, W), exactly 0 where `residuals` are 0; and (B,) the PSNR over the masks between
        the degraded faces and the source, dB. Each face depends on its own input only.
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
    """Return whether all are done; always False on a GPU, where reading the value would wait."""
    return all_of.device.type == "cpu" and bool(all_of.all())


def _deviation(excess: Tensor, weights: Tensor) -> Tensor:
    """Return the RMS over the masks; (B, 1, 1, 1)."""
    squares = (excess.square() * weights).sum(dim=(1, 2, 3), keepdim=True)
    return (squares / (3 * weights.sum(dim=(1, 2, 3), keepdim=True)).clamp_min(1)).sqrt()


def _enlarged(images: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return images
    return F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)


def _gaussians(sigmas_px: Tensor, device: torch.device) -> Tensor:
    """Return a kernel for each face, (B, taps), with as many taps as the widest one needs.

    Taps beyond three deviations are 0, so that a face does not depend on the others in the batch.
    """
    sigmas_px = sigmas_px.clamp_min(_NARROWEST_PX)
    reach = torch.ceil(3 * sigmas_px)[:, None]
    farthest = int(reach.max())
    offset_px = torch.arange(-farthest, farthest + 1, dtype=sigmas_px.dtype)
    weights = torch.exp(-offset_px.square() / (2 * sigmas_px.square()[:, None]))
    weights *= offset_px.abs() <= reach
    return (weights / weights.sum(dim=1, keepdim=True)).to(device)


def _blurred(images: Tensor, gaussians: Tensor) -> Tensor:
    """Blur each face of (B, C, H, W) by its kernel; edges are replicated."""
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
