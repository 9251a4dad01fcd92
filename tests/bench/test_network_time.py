"""What a face costs, against what its arithmetic alone would: `pytest -m bench <this file>`.

The floor is the network's multiply-accumulates at the rate of dense 3x3 convolutions on the same
machine in the same run. The network is timed as it is run on CPUs (`aminet.cpu_network`), and as it
is trained (`aminet.network`). Writes `results/network_time.json`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aminet.cost import count_macs, time_per_face_ms
from aminet.cpu_network import CpuNetwork
from aminet.history import HISTORY_CHANNELS
from aminet.network import PRESETS, AMINet
from aminet.precision import autocast_dtype

pytestmark = pytest.mark.bench

RESULTS = Path(__file__).parent / "results"


def dense() -> nn.Module:
    """Nothing but 3x3 convolutions, of about the widths and sizes of the network's own."""
    layers = [nn.Conv2d(48, 48, 3, padding=1) for _ in range(16)]
    return nn.Sequential(nn.PixelUnshuffle(4), *layers)


class OnCpu(nn.Module):
    """`CpuNetwork` as a module."""

    def __init__(self, network: AMINet) -> None:
        super().__init__()
        self.network = CpuNetwork(network, autocast_dtype("cpu") or torch.float32)

    def forward(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803
        with torch.autocast("cpu", enabled=False):
            return self.network.residual(x_BCHW)


def test_time_of_a_face_over_that_of_its_arithmetic() -> None:
    networks = {
        name: AMINet(replace(config, in_channels=3 + HISTORY_CHANNELS))
        for name, config in PRESETS.items()
    }
    result: dict[str, object] = {
        "threads": torch.get_num_threads(),
        "autocast": str(autocast_dtype("cpu")),
    }
    for name, network in networks.items():
        network.eval()
        yardstick = dense()
        yardstick_ms = time_per_face_ms(yardstick)
        ms, as_trained_ms = time_per_face_ms(OnCpu(network)), time_per_face_ms(network)
        floor_ms = yardstick_ms * count_macs(network, 128) / count_macs(yardstick, 128)
        result[name] = {
            "floor_ms": floor_ms,
            "ms_a_face": ms,
            "ratio": ms / floor_ms,
            "as_trained_ms": as_trained_ms,
            "as_trained_ratio": as_trained_ms / floor_ms,
        }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "network_time.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    assert set(PRESETS) < set(json.loads(path.read_text(encoding="utf-8")))
