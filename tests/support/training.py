"""Runs that are killed, and what they leave."""

from __future__ import annotations

import pytest
import torch

from aminet.data.batches import Patches
from aminet.training.checkpoint import CHECKPOINT_FILE, save_checkpoint
from aminet.training.config import TrainConfig
from aminet.training.step import TrainStep
from aminet.training.train import train


def tensors(config: TrainConfig, part: str) -> dict[str, torch.Tensor]:
    """Return a part of a run's checkpoint: "network" or "average"."""
    return torch.load(config.out / CHECKPOINT_FILE, weights_only=True)[part]


def stop_after(config: TrainConfig, step: int) -> None:
    """Run as `train` does, then be killed right after a checkpoint."""

    class KilledError(Exception):
        pass

    original = TrainStep.__call__

    def save_then_step(self: TrainStep, batch: Patches) -> dict[str, torch.Tensor]:
        if self.state.step == step:
            save_checkpoint(self.state, config, config.out / CHECKPOINT_FILE)
            raise KilledError
        return original(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "__call__", save_then_step)
        with pytest.raises(KilledError):
            train(config)
