"""Checkpoints of a training run: written atomically, readable on any device."""

from pathlib import Path
from typing import Any, Final

import torch

from aminet.errors import TrainConfigError
from aminet.training.config import TrainConfig
from aminet.training.step import TrainState, new_state

__all__ = ["CHECKPOINT_FILE", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_FILE: Final = "checkpoint.pt"


def save_checkpoint(state: TrainState, config: TrainConfig, file: Path) -> None:
    """Write a checkpoint atomically: a killed run leaves the previous one."""
    content = {
        "step": state.step,
        "seconds": state.seconds,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in state.optimisers],
        "config": config.model_dump(mode="json"),
    }
    if state.adversary is not None:
        content["adversary"] = {
            "network": state.adversary.network.state_dict(),
            "optimiser": state.adversary.optimiser.state_dict(),
        }
    temporary = file.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(file)


def load_checkpoint(config: TrainConfig, file: Path, device: torch.device) -> TrainState:
    """Read a file of `save_checkpoint`.

    Raises:
        TrainConfigError: the checkpoint belongs to another network, or only one of checkpoint and
            config has a discriminator.
    """
    content: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    for key in ("preset", "in_channels"):
        # Older checkpoints lack these keys, which then had only one value, the default.
        stored = content["config"].get(key, TrainConfig.model_fields[key].default)
        wanted = getattr(config, key)
        if stored != wanted:
            raise TrainConfigError(
                f"{file} holds {key} {stored!r}, the config asks for {wanted!r}; "
                "choose another `out` folder or remove the checkpoint",
                key=key,
            )
    adversary = content.get("adversary")
    if (adversary is None) == bool(config.loss.adversarial):
        raise TrainConfigError(
            f"{file} holds {'no' if adversary is None else 'a'} discriminator, and the config's "
            f"loss.adversarial is {config.loss.adversarial}: choose another `out` folder, and this "
            "checkpoint as `init`",
            key="loss.adversarial",
        )
    state = new_state(config.model_copy(update={"init": None}), device)
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    for optimiser, saved in zip(state.optimisers, content["optimisers"], strict=True):
        _restore(optimiser, saved)
    if state.adversary is not None and adversary is not None:
        state.adversary.network.load_state_dict(adversary["network"])
        _restore(state.adversary.optimiser, adversary["optimiser"])
    state.step, state.seconds = int(content["step"]), float(content["seconds"])
    return state


def _restore(optimiser: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    for group, own in zip(saved["param_groups"], optimiser.param_groups, strict=True):
        # These belong to the device that wrote the checkpoint.
        if "capturable" in own:
            group["capturable"] = own["capturable"]
    optimiser.load_state_dict(saved)
