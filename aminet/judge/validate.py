"""Scoring a network on a fixed set of degraded faces.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803, N806

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from aminet.judge.lpips import LPIPS
from aminet.judge.metrics import psnr
from aminet.judge.trials import Trial

__all__ = ["BATCH", "Restore", "compare", "score"]

BATCH: Final = 16
"""Faces per batch."""

Restore = Callable[[Tensor], Tensor]
"""Takes degraded, upsampled faces (B, 3 or 7, S, S) in [0, 1], returns (B, 3, S, S) in [0, 1]."""


def score(
    trials: Sequence[Trial], restore: Restore, lpips: LPIPS | None = None
) -> dict[str, float]:
    """Return each trial's mean PSNR-Y ("lab", dB), its gain over bicubic, and its mean LPIPS.

    Args:
        trials: the faces to restore.
        restore: runs the network.
        lpips: on any device; None leaves LPIPS out.
    """
    scores: dict[str, float] = {}
    for trial in trials:
        y_BCHW = restore(trial.lq_BCHW)
        got = float(psnr(y_BCHW, trial.hr_BCHW).mean())
        before = float(psnr(trial.lq_BCHW[:, :3], trial.hr_BCHW).mean())
        scores[trial.name] = got
        scores[f"{trial.name}_gain"] = got - before
        if lpips is not None:
            scores[f"{trial.name}_lpips"] = float(compare(lpips, y_BCHW, trial.hr_BCHW).mean())
    return scores


def compare(judge: nn.Module, y_BCHW: Tensor, hr_BCHW: Tensor) -> Tensor:
    """Compare faces in pairs with a feature network, in batches.

    Args:
        judge: takes two (B, 3, S, S) tensors on its device, returns (B,).
        y_BCHW: (B, 3, S, S) float in [0, 1], the restored faces.
        hr_BCHW: the true faces, of the same shape.

    Returns:
        (B,), on the CPU.
    """
    device = next(judge.parameters()).device
    with torch.inference_mode():
        pairs = zip(y_BCHW.split(BATCH), hr_BCHW.split(BATCH), strict=True)
        return torch.cat([judge(y.to(device), hr.to(device)).cpu() for y, hr in pairs])
