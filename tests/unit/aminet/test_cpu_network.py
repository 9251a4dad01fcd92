"""The network written for CPUs is the network."""

from dataclasses import replace

import pytest
import torch

from aminet.cpu_network import CpuNetwork
from aminet.errors import SideError
from aminet.network import PRESETS, AMINet, AMINetConfig
from tests.support.faces import TINY


def random_network(config: AMINetConfig) -> AMINet:
    """Return a network of which every part adds to the result."""
    torch.manual_seed(0)
    network = AMINet(config)
    for parameter in network.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def smooth(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(count, channels, 12, 12, generator=generator)
    return torch.nn.functional.interpolate(small, size=(height, width), mode="bilinear")


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (TINY, (2, 3, 64, 64)),
        (TINY, (1, 3, 72, 104)),
        (replace(TINY, in_channels=7), (2, 7, 64, 80)),
        (replace(TINY, in_channels=7), (2, 3, 64, 64)),
        (replace(TINY, stem_factor=1), (1, 3, 64, 64)),
        (replace(TINY, depths=(2, 1, 2, 1), heads=(2, 0, 4, 2)), (1, 3, 64, 64)),
        (replace(PRESETS["aminet-s"], in_channels=7), (1, 7, 64, 64)),
    ],
)
def test_its_residual_is_the_networks(config: AMINetConfig, size: tuple[int, ...]) -> None:
    network, x = random_network(config), smooth(*size)
    with torch.inference_mode():
        wanted = network.residual(x)
        got = CpuNetwork(network, torch.float32).residual(x)
    assert got.dtype == torch.float32
    assert float(wanted.std()) > 0.05
    torch.testing.assert_close(got, wanted, atol=5e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["smooth", "black", "white", "faint"])
def test_in_bf16_it_is_about_as_exact_as_the_network_under_autocast(kind: str) -> None:
    network = random_network(replace(PRESETS["aminet-s"], in_channels=7))
    x = smooth(2, 7, 64, 64)
    x = {"smooth": x, "black": 0 * x, "white": 0 * x + 1, "faint": 0.9 + 0.02 * x}[kind]
    with torch.inference_mode():
        exact = network.residual(x)
        with torch.autocast("cpu", torch.bfloat16):
            usual = network.residual(x).float()
        got = CpuNetwork(network, torch.bfloat16).residual(x)
    usual_error, error = ((each - exact).square().mean().sqrt() for each in (usual, got))
    # Of pictures without any detail, errors are as large, but others.
    assert float(error) < 2 * float(usual_error)


def test_a_face_does_not_depend_on_its_batch() -> None:
    network = CpuNetwork(random_network(TINY), torch.float32)
    x = smooth(5, 3, 64, 64)
    with torch.inference_mode():
        alone = torch.cat([network.residual(face) for face in x.split(1)])
        torch.testing.assert_close(network.residual(x), alone, atol=1e-5, rtol=1e-5)


def test_it_keeps_the_weights_it_was_made_of() -> None:
    network, x = random_network(TINY), smooth(1, 3, 64, 64)
    on_cpu = CpuNetwork(network, torch.float32)
    with torch.inference_mode():
        before = on_cpu.residual(x)
        for weights in network.parameters():
            weights.zero_()
        assert torch.equal(on_cpu.residual(x), before)
        assert not torch.equal(CpuNetwork(network, torch.float32).residual(x), before)


def test_sides_that_do_not_fit_are_refused() -> None:
    network = CpuNetwork(random_network(TINY), torch.float32)
    with pytest.raises(SideError, match="height is 60 px"):
        network.residual(torch.rand(1, 3, 60, 64))
    with pytest.raises(SideError, match="expected a"):
        network.residual(torch.rand(1, 7, 64, 64))
