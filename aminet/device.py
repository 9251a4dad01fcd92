"""Choosing the torch device that a network runs on."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Final

from aminet.errors import DeviceError

if TYPE_CHECKING:
    import torch

__all__ = ["DEVICE_PATTERN", "gpu_count", "resolve_device"]

DEVICE_PATTERN: Final = r"^(auto|cpu|cuda(:\d{1,4})?)$"
"""Valid device names in a setting. Whether the device exists is checked where it is used."""


def gpu_count() -> int:
    """Return how many CUDA GPUs this process sees."""
    import torch

    return torch.cuda.device_count()


def resolve_device(name: str) -> torch.device:
    """Return the torch device for a name on this machine.

    Args:
        name: `auto` for the first CUDA GPU or else the CPU; `cpu`, `cuda` or `cuda:N`.

    Raises:
        DeviceError: the name is not one of these, or there is no such GPU; or this process was
            forked from one that runs networks.
    """
    import torch

    if _first_process() != os.getpid() and torch.get_num_threads() > 1:
        raise DeviceError(
            "this process was forked from one that runs networks, whose threads a fork does not"
            " copy, so that it would wait for them for ever: start it with"
            " multiprocessing.get_context('spawn')",
            device=name,
        )
    if not re.fullmatch(DEVICE_PATTERN, name):
        raise DeviceError(f"device is {name!r}, expected auto, cpu, cuda or cuda:N", device=name)
    count = gpu_count()
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(
            f"device is {name!r}, but this process sees {count} CUDA GPUs: use 'auto' or 'cpu'",
            device=name,
        )
    return device


@cache
def _first_process() -> int:
    """Return the process that was the first to choose a device, be it one that was forked later."""
    return os.getpid()
