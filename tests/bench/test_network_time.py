"""What a face costs, against what its arithmetic alone would: `pytest -m bench <this file>`.

The floor is the network's multiply-accumulates at the rate of dense 3x3 convolutions on the same
machine in the same run. Writes `results/network_time.json`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from aminet.cost import count_macs, time_per_face_ms
from aminet.history import HISTORY_CHANNELS
from aminet.network import PRESETS, AMINet
from aminet.precision import autocast_dtype

pytestmark = pytest.mark.bench

RESULTS = Path(__file__).parent / "results"


def dense() -> nn.Module:
    """Nothing but 3x3 convolutions, of about the widths and sizes of the network's own."""
    layers = [nn.Conv2d(48, 48, 3, padding=1) for _ in range(16)]
    return nn.Sequential(nn.PixelUnshuffle(4), *layers)


def test_time_of_a_face_over_that_of_its_arithmetic() -> None:
    networks: dict[str, nn.Module] = {
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
        ms = time_per_face_ms(network)
        floor_ms = yardstick_ms * count_macs(network, 128) / count_macs(yardstick, 128)
        result[name] = {"ms_a_face": ms, "floor_ms": floor_ms, "ratio": ms / floor_ms}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "network_time.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    assert set(PRESETS) < set(json.loads(path.read_text(encoding="utf-8")))
