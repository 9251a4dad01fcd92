"""The weights that ship, on four faces they were never trained on."""

from pathlib import Path

import pytest
import torch

from aminet.judge.metrics import psnr
from aminet.judge.trials import Trial, camera_trial, clean_trial, load_faces
from aminet.model_files import list_weights
from aminet.restorer import Restorer

FACES = Path(__file__).parent / "faces"


def trial(name: str) -> Trial:
    hr = load_faces(sorted(FACES.glob("*.jpg")), 128)
    make = camera_trial if name.startswith("camera") else clean_trial
    return make(hr, int(name[-1]))


@pytest.mark.parametrize("name", [card.name for card in list_weights()])
@pytest.mark.parametrize(("kind", "gain_db"), [("x4", 0.4), ("x8", 0.2), ("camera4", 0.2)])
def test_shipped_weights_beat_bicubic(name: str, kind: str, gain_db: float) -> None:
    restorer = Restorer.load(name, torch.device("cpu"))
    poor = trial(kind)
    restored = restorer.restore(poor.lq_BCHW)
    gain = psnr(restored, poor.hr_BCHW) - psnr(poor.lq_BCHW, poor.hr_BCHW)
    assert float(gain.mean()) > gain_db


@pytest.mark.parametrize("name", [card.name for card in list_weights()])
def test_shipped_weights_keep_the_colours(name: str) -> None:
    restorer = Restorer.load(name, torch.device("cpu"))
    clean = trial("x4")
    restored = restorer.restore(clean.lq_BCHW)
    low = torch.nn.functional.avg_pool2d(restored - clean.lq_BCHW, 16)
    assert float(low.abs().mean()) < 1 / 255


@pytest.mark.parametrize("name", [card.name for card in list_weights()])
def test_shipped_weights_leave_sharp_faces_nearly_alone(name: str) -> None:
    restorer = Restorer.load(name, torch.device("cpu"))
    hr = load_faces(sorted(FACES.glob("*.jpg")), 128)
    restored = restorer.restore(hr)
    assert float(psnr(restored, hr).mean()) > 30
