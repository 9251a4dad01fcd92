"""The cost of a network: parameters, multiply-accumulates and time."""

import statistics
import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aminet.precision import autocast_dtype

__all__ = ["count_macs", "count_parameters", "time_per_face_ms"]


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters, trainable and frozen."""
    return sum(p.numel() for p in network.parameters())


def count_macs(network: nn.Module, side: int) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one face.

    Args:
        network: takes a (1, 3, side, side) tensor.
        side: side of the face, px.
    """
    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(torch.zeros(1, 3, side, side, device=device))
    return int(counter.get_total_flops()) // 2


def time_per_face_ms(
    network: nn.Module,
    *,
    batch: int = 16,
    side: int = 128,
    device: torch.device | str = "cpu",
    rounds: int = 5,
) -> float:
    """Return the median time of a forward pass divided by its faces, in ms.

    One pass is run first and not counted.

    Args:
        network: takes a (batch, 3, side, side) tensor; already on `device`.
        batch: faces in one pass.
        side: side of a face, px.
        device: the device to measure on.
        rounds: how many passes to measure.
    """
    device = torch.device(device)
    dtype = autocast_dtype(device)
    x = torch.rand(batch, 3, side, side, device=device).contiguous(
        memory_format=torch.channels_last
    )
    times_s: list[float] = []
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not None):
        for _ in range(rounds + 1):
            start_s = time.perf_counter()
            network(x)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s[1:]) * 1000 / batch
