"""Scores of a network on a fixed set of degraded faces.

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

Restore = Callable[[Tensor], Tensor]
"""(B, 3 or 7, S, S) degraded and upsampled, in [0, 1] -> (B, 3, S, S) restored, in [0, 1]."""


def score(
    trials: Sequence[Trial], restore: Restore, lpips: LPIPS | None = None
) -> dict[str, float]:
    """Mean PSNR-Y ("lab" convention), dB, of each trial and its gain over bicubic; mean LPIPS too.

    Args:
        trials: what to restore.
        restore: the network.
        lpips: on any device; None leaves that figure out.
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
    """Compare faces in pairs by a feature network, in batches.

    Args:
        judge: takes both faces, on its own device; answers (B,).
        y_BCHW: (B, 3, S, S) float in [0, 1], restored.
        hr_BCHW: same shape, true.

    Returns:
        (B,), on the CPU.
    """
    device = next(judge.parameters()).device
    with torch.inference_mode():
        pairs = zip(y_BCHW.split(BATCH), hr_BCHW.split(BATCH), strict=True)
        return torch.cat([judge(y.to(device), hr.to(device)).cpu() for y, hr in pairs])
