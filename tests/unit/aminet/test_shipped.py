"""The weights that ship, on four faces they were never trained on."""

from pathlib import Path

import pytest
import torch

from aminet.judge.metrics import psnr
from aminet.judge.trials import Trial, camera_trial, clean_trial, load_faces
from aminet.judge.validate import restore_with
from aminet.model_files import list_weights, load_network

FACES = Path(__file__).parent / "faces"


def trial(name: str) -> Trial:
    hr = load_faces(sorted(FACES.glob("*.jpg")), 128)
    make = camera_trial if name.startswith("camera") else clean_trial
    return make(hr, int(name[-1]))


@pytest.mark.parametrize("name", [card.name for card in list_weights()])
@pytest.mark.parametrize(("kind", "gain_db"), [("x4", 0.4), ("x8", 0.2), ("camera4", 0.2)])
def test_shipped_weights_beat_bicubic(name: str, kind: str, gain_db: float) -> None:
    network, _ = load_network(name)
    poor = trial(kind)
    restored = restore_with(network, torch.device("cpu"))(poor.lq_BCHW)
    gain = psnr(restored, poor.hr_BCHW) - psnr(poor.lq_BCHW, poor.hr_BCHW)
    assert float(gain.mean()) > gain_db


@pytest.mark.parametrize("name", [card.name for card in list_weights()])
def test_shipped_weights_keep_the_colours(name: str) -> None:
    network, _ = load_network(name)
    clean = trial("x4")
    restored = restore_with(network, torch.device("cpu"))(clean.lq_BCHW)
    low = torch.nn.functional.avg_pool2d(restored - clean.lq_BCHW, 16)
    assert float(low.abs().mean()) < 1 / 255


@pytest.mark.parametrize("name", [card.name for card in list_weights()])
def test_shipped_weights_leave_sharp_faces_nearly_alone(name: str) -> None:
    network, _ = load_network(name)
    hr = load_faces(sorted(FACES.glob("*.jpg")), 128)
    restored = restore_with(network, torch.device("cpu"))(hr)
    assert float(psnr(restored, hr).mean()) > 30
