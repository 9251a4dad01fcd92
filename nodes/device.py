"""Which device the network runs on."""

from __future__ import annotations

import torch

from nodes.errors import NodeConfigError

__all__ = ["resolve_device"]


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `cuda:N` means on this machine.

    Raises:
        NodeConfigError: a GPU is asked for that is not there.
    """
    count = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise NodeConfigError(
            f"device is {name!r}, but this process sees {count} CUDA GPUs: use 'auto' or 'cpu'"
        )
    return device
