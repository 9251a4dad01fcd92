"""Wider networks grown out of narrow ones: same answer, twins told apart, clear refusals."""

from dataclasses import replace

import pytest
import torch

from aminet.errors import WeightsError
from aminet.network import AMINet, AMINetConfig
from aminet.training.widen import widen

NARROW = AMINetConfig(width=24)
WIDE = AMINetConfig(width=48)


@pytest.fixture(scope="module")
def narrow() -> AMINet:
    """Weights of chance, the silent parts included: a silent part could hide an error."""
    torch.manual_seed(3)
    network = AMINet(NARROW)
    for parameter in network.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def wide(narrow: AMINet) -> AMINet:
    return widen(narrow, WIDE, seed=1).eval()


def test_it_answers_as_the_narrow_network_does(narrow: AMINet, wide: AMINet) -> None:
    x = torch.rand(2, 3, 64, 80)
    with torch.inference_mode():
        wanted, got = narrow.residual(x), wide.residual(x)
    assert wanted.abs().max() > 0.01
    torch.testing.assert_close(got, wanted, atol=2e-4, rtol=2e-3)


def test_gradients_tell_twins_apart(wide: AMINet) -> None:
    wide.zero_grad()
    wide(torch.rand(1, 3, 64, 64)).square().mean().backward()
    gradient = wide.get_parameter("bottleneck.0.rdfe.see3.weight").grad
    assert gradient is not None
    first, second = gradient[0::2], gradient[1::2]
    alike = torch.nn.functional.cosine_similarity(first.flatten(1), second.flatten(1))
    assert alike.abs().mean() < 0.8


@pytest.fixture(scope="module")
def seeing(narrow: AMINet) -> AMINet:
    """The narrow network with input channels for a history."""
    return widen(narrow, replace(NARROW, in_channels=7)).eval()


def test_a_history_counts_nothing_until_it_is_trained(narrow: AMINet, seeing: AMINet) -> None:
    x = torch.rand(2, 7, 64, 80)
    with torch.inference_mode():
        assert torch.equal(seeing(x), narrow(x[:, :3]))


def test_new_channels_can_be_added_to_a_wider_network(narrow: AMINet) -> None:
    x = torch.rand(1, 7, 64, 64)
    wide = widen(narrow, replace(WIDE, in_channels=7)).eval()
    with torch.inference_mode():
        wanted, got = narrow.residual(x[:, :3]), wide.residual(x)
    torch.testing.assert_close(got, wanted, atol=2e-4, rtol=2e-3)


def test_gradients_reach_the_new_channels(seeing: AMINet) -> None:
    seeing.requires_grad_(requires_grad=True).zero_grad()
    seeing(torch.rand(1, 7, 64, 64)).square().mean().backward()
    gradient = seeing.stem.weight.grad
    assert gradient is not None
    pixels = NARROW.stem_factor**2
    assert gradient[:, 3 * pixels :].abs().amax(dim=(0, 2, 3)).min() > 0


def test_other_differences_than_width_are_refused(narrow: AMINet) -> None:
    with pytest.raises(WeightsError, match="depths, heads and stem"):
        widen(narrow, AMINetConfig(width=48, depths=(1, 1, 2, 2)))
    with pytest.raises(WeightsError, match="multiple"):
        widen(narrow, AMINetConfig(width=32))


def test_a_history_is_not_thrown_away(seeing: AMINet) -> None:
    with pytest.raises(WeightsError, match="input channels no fewer"):
        widen(seeing, WIDE)
