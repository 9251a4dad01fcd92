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
from torch import Tensor

from nodes.enhance.separable import (
    applied,
    averaged,
    enlarged,
    enlarged_and_averaged,
    gaussian,
)

__all__ = ["LOSSY_TOLERANCE", "TOLERANCE", "back_project", "tolerance"]

TOLERANCE: Final = 0.008
"""RMS over the mask, of full scale (42 dB), that is allowed. Exact agreement would cost a third of
the network's gain."""
LOSSY_TOLERANCE: Final = 0.012
"""The same for lossy sources (38 dB), since undoing compression does not contradict the source. On
films of training people (`tests.bench.fit_strength`) 0.008 loses up to 0.04 dB at CRF 28 and 34;
0.016 gains 0.01 dB at CRF 34, and the worst faces lose 0.06 to 0.12 dB at CRF 22 and 28."""

_LENS_PX: Final = 0.5
"""Least blur of a lens: standard deviation in source pixels."""
_NARROWEST_PX: Final = 0.1
"""Least standard deviation of a kernel, px; avoids a division by 0."""
_PASSES: Final = 3
"""Iterations of back-projection."""


def tolerance(strength: float, *, tight: bool) -> float:
    """Return the deviation from the source that a face may have: RMS over the mask, of full scale.

    It falls with the strength, to a half. Most faces of little strength are sharp, others small,
    turned or hardly seen, and what deviates from any of these is more likely wrong. Measured on
    sharp ones: of training people without blur the worst face through JPEG at quality 55 loses
    0.11 dB with `LOSSY_TOLERANCE` and nothing with half of it; the mean gain through H.264 changes
    by less than 0.05 dB.

    Args:
        strength: of the restoration, 0 to 1 (`FacePatch.strength`).
        tight: whether the source is lossless, or the face is made up.
    """
    return (TOLERANCE if tight else LOSSY_TOLERANCE) * (1 + strength) / 2


def back_project(
    residuals: Tensor, scale: int, sources: Tensor, blurs_px: Tensor, tolerances: Tensor
) -> tuple[Tensor, Tensor]:
    """Remove the part of residuals that contradicts the source.

    Args:
        residuals: (B, 3, P * scale, P * scale) on the output's grid; exactly 0 outside the face
            masks.
        scale: output pixels per source pixel.
        sources: (B, 3, P, P), the source's faces, in [0, 1].
        blurs_px: (B,) standard deviation of each source's blur, in source pixels; on the CPU.
        tolerances: (B,) allowed RMS, of full scale.

    Returns:
        The residuals, exactly 0 where they were 0; and (B,) the PSNR over the masks between
        the degraded faces and the source, dB. Each face depends on its own input only.
    """
    covered = (residuals.abs().amax(dim=1, keepdim=True) > 0).to(residuals.dtype)
    weights = averaged(covered, scale)
    side, device = sources.shape[-1], sources.device
    own = sources - applied(gaussian(blurs_px.clamp_min(_NARROWEST_PX), side, device), sources)
    lens = gaussian(blurs_px.clamp_min(_LENS_PX), side, device)
    there_and_back = lens @ enlarged_and_averaged(side, scale, device)
    lowest, highest = own.clamp(max=0), own.clamp(min=0)
    seen = applied(lens, averaged(residuals, scale))
    back = torch.zeros_like(seen)
    allowed = tolerances[:, None, None, None]
    excess = seen - seen.clamp(lowest, highest)
    deviation = _deviation(excess, weights)
    for _ in range(_PASSES):
        if _settled(deviation <= allowed):
            break
        step = excess * (1 - allowed / torch.maximum(deviation, allowed))
        back += step
        seen = seen - applied(there_and_back, step)
        excess = seen - seen.clamp(lowest, highest)
        deviation = _deviation(excess, weights)
    if not _settled(back == 0):
        residuals = (residuals - enlarged(back, scale)) * covered
    return residuals, -20 * torch.log10(deviation.clamp_min(1e-6)).flatten()


def _settled(all_of: Tensor) -> bool:
    """Return whether all are done; always False on a GPU, where reading the value would wait."""
    return all_of.device.type == "cpu" and bool(all_of.all())


def _deviation(excess: Tensor, weights: Tensor) -> Tensor:
    """Return the RMS over the masks; (B, 1, 1, 1)."""
    squares = (excess.square() * weights).sum(dim=(1, 2, 3), keepdim=True)
    return (squares / (3 * weights.sum(dim=(1, 2, 3), keepdim=True)).clamp_min(1)).sqrt()
