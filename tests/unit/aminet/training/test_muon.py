import pytest
import torch
from torch import nn

from aminet.training.muon import Muon, is_matrix, orthogonalise


@pytest.mark.parametrize("shape", [(3, 16, 144), (2, 96, 24), (1, 32, 32)])
def test_singular_values_end_near_one(shape: tuple[int, int, int]) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-4
    values = torch.linalg.svdvals(orthogonalise(g))
    # A square Gaussian has directions of nearly no size, which five rounds cannot lift.
    assert float(values.max()) < 1.3
    assert float(values.median()) > 0.6
    left, _, right = torch.linalg.svd(g, full_matrices=False)
    ideal = left @ right
    assert float((orthogonalise(g) * ideal).sum() / ideal.square().sum()) > 0.7


def test_a_zero_gradient_moves_nothing() -> None:
    assert not bool(orthogonalise(torch.zeros(1, 8, 8)).any())


def test_a_step_has_the_size_it_says() -> None:
    layer = nn.Conv2d(16, 24, 3)
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(0))
    Muon([layer.weight], lr=1e-2).step()
    change = layer.weight.detach() - before
    # Orthogonal rows of 144: entries of 1 / sqrt(144), times 0.2 * sqrt(144) * lr.
    assert float(change.square().mean().sqrt()) == pytest.approx(0.2 * 1e-2, rel=0.3)
    assert float((change * layer.weight.grad).sum()) < 0


def test_weights_decay_and_those_without_gradient_stay() -> None:
    moved, still = (nn.Parameter(torch.ones(8, 8)) for _ in range(2))
    moved.grad = torch.zeros(8, 8)
    Muon([moved, still], lr=0.5, weight_decay=0.1).step()
    assert torch.allclose(moved, torch.full((8, 8), 0.95))
    assert torch.equal(still, torch.ones(8, 8))


def test_equal_shapes_do_not_touch_each_other() -> None:
    """Weights of one shape go through one product together."""
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(8, 16, generator=generator) for _ in range(2)]
    together = [nn.Parameter(torch.zeros(8, 16)) for _ in grads]
    for weight, grad in zip(together, grads, strict=True):
        weight.grad = grad
    Muon(together, lr=1.0).step()
    for weight, grad in zip(together, grads, strict=True):
        alone = nn.Parameter(torch.zeros(8, 16))
        alone.grad = grad
        Muon([alone], lr=1.0).step()
        assert torch.allclose(weight, alone, atol=1e-5)


def test_only_wide_maps_are_matrices() -> None:
    assert is_matrix(nn.Conv2d(8, 8, 1).weight)
    assert not is_matrix(nn.Conv2d(2, 4, 7).weight)
    assert not is_matrix(nn.Parameter(torch.ones(64)))
