"""One network at work."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aminet.errors import SideError, WeightsError
from aminet.history import without_history
from aminet.model_files import read_weights, save_weights
from aminet.network import AMINet
from aminet.restorer import BATCH, Restorer
from tests.support.faces import TINY

CPU = torch.device("cpu")


@pytest.fixture
def faces() -> torch.Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def assert_alike(got: torch.Tensor, wanted: torch.Tensor) -> None:
    """Compare what is computed in the CPU's format, perhaps bf16, with fp32."""
    error, size = ((x.square().mean().sqrt()) for x in (got - wanted, wanted))
    assert float(error) < 0.03 * float(size)


def test_the_residual_is_the_networks(tiny_network: AMINet, faces: torch.Tensor) -> None:
    residual = Restorer(tiny_network, CPU).residual(faces)
    assert residual.dtype == torch.float32
    assert float(residual.abs().max()) > 0.01
    with torch.inference_mode():
        assert_alike(residual, tiny_network.residual(faces))


def test_a_mirror_image_counts_half_where_it_is_wanted(
    tiny_network: AMINet, faces: torch.Tensor
) -> None:
    with torch.inference_mode():
        plain = tiny_network.residual(faces)
        mirrored = tiny_network.residual(faces.flip(-1)).flip(-1)
    both = Restorer(tiny_network, CPU, ensemble=True).residual(faces)
    assert_alike(both, (plain + mirrored) / 2)
    with pytest.raises(AssertionError):
        assert_alike(both, plain)


def test_restored_faces_stay_in_range_whatever_their_number(tiny_network: AMINet) -> None:
    restorer = Restorer(tiny_network, CPU)
    many = torch.rand(BATCH + 3, 3, 64, 64).round()
    restored = restorer.restore(many)
    assert restored.shape == many.shape
    assert 0 <= float(restored.min()) <= float(restored.max()) <= 1
    wanted = (many[-3:] + restorer.residual(many[-3:])).clamp(0, 1)
    torch.testing.assert_close(restored[-3:], wanted, atol=2e-3, rtol=0.02)


def test_a_history_is_used_by_those_who_know_one(tiny_network: AMINet, faces: torch.Tensor) -> None:
    torch.manual_seed(2)
    knowing = AMINet(replace(TINY, in_channels=7)).eval()
    torch.nn.init.normal_(knowing.tail.weight, std=0.05)
    torch.nn.init.normal_(knowing.stem.weight, std=0.2)
    past = torch.cat((faces, faces.flip(0), torch.full_like(faces[:, :1], 0.8)), dim=1)
    alone = Restorer(tiny_network, CPU)
    assert torch.equal(alone.residual(past), alone.residual(faces))
    with_past = Restorer(knowing, CPU)
    assert torch.equal(with_past.residual(without_history(faces)), with_past.residual(faces))
    assert not torch.equal(with_past.residual(past), with_past.residual(faces))


def test_weights_come_with_their_card(tiny_network: AMINet, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    card = save_weights(tiny_network, file, protocol="camera")
    for restorer in (Restorer.load(file, CPU), Restorer.of_file(read_weights(file), CPU)):
        assert restorer.card == card
        assert not any(weight.requires_grad for weight in restorer.network.parameters())
    assert Restorer(tiny_network, CPU).card is None
    file.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="is damaged"):
        Restorer.load(file, CPU)


def test_sides_that_do_not_fit_are_refused(tiny_network: AMINet) -> None:
    with pytest.raises(SideError, match="width is 60 px"):
        Restorer(tiny_network, CPU).residual(torch.rand(1, 3, 64, 60))
