"""Small networks and small faces, made here or shipped beside this file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from aminet.network import PRESETS, AMINet
from tests.support.faces import TINY, paint_folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Results must not depend on how many cores the machine has, and cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_preset(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    return "tiny"


@pytest.fixture
def tiny_network() -> AMINet:
    """Random everywhere, the zero-initialised tail too: otherwise it is the identity."""
    torch.manual_seed(0)
    network = AMINet(TINY)
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return network.eval()


@pytest.fixture
def face_folders(tmp_path: Path) -> tuple[Path, Path]:
    """(train, val), six and two pictures."""
    train = paint_folder(tmp_path / "train", range(6))
    return train, paint_folder(tmp_path / "val", range(100, 102))
