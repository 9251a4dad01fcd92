"""Scores of a network on a fixed set of degraded faces.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from aminet.judge.metrics import psnr
from aminet.judge.trials import Trial
from aminet.network import AMINet, self_ensemble
from aminet.precision import autocast_dtype

BATCH: Final = 16

Restore = Callable[[Tensor], Tensor]
"""(B, 3 or 7, S, S) degraded and upsampled, in [0, 1] -> (B, 3, S, S) restored, in [0, 1]."""


def restore_with(network: AMINet, device: torch.device, *, ensemble: bool = False) -> Restore:
    """A network as a function on batches of any size, without gradients, clamped.

    Args:
        network: on `device`.
        device: where to work.
        ensemble: with its mirror image (`self_ensemble`).
    """
    dtype = autocast_dtype(device)

    def restore(lq_BCHW: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        network.eval()
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not None):
            # A network without history leaves it.
            for part in lq_BCHW[:, : network.config.in_channels].split(BATCH):
                x = part.to(device, memory_format=torch.channels_last)
                y = x[:, :3] + self_ensemble(network, x) if ensemble else network(x)
                outputs.append(y.float().clamp(0, 1).cpu())
        return torch.cat(outputs)

    return restore


def score(trials: Sequence[Trial], restore: Restore) -> dict[str, float]:
    """Mean PSNR-Y ("lab" convention), dB, of each trial and its gain over bicubic."""
    scores: dict[str, float] = {}
    for trial in trials:
        got = float(psnr(restore(trial.lq_BCHW), trial.hr_BCHW).mean())
        before = float(psnr(trial.lq_BCHW[:, :3], trial.hr_BCHW).mean())
        scores[trial.name] = got
        scores[f"{trial.name}_gain"] = got - before
    return scores
