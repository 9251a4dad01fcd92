"""Batches of a few fixed sizes give what batches of any size do; on a GPU they are recorded."""

from __future__ import annotations

import pytest
import torch

from aminet.cuda_graphs import FixedBatches
from aminet.network import AMINet
from aminet.restorer import Restorer

CPU = torch.device("cpu")


def faces(count: int, side_px: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, side_px, side_px, generator=torch.Generator().manual_seed(count))


def test_any_number_of_faces_gives_the_residuals_of_the_plain_network(
    tiny_network: AMINet,
) -> None:
    plain, fixed = (Restorer(tiny_network, CPU, fixed_batches=each) for each in (False, True))
    for count, side_px in ((3, 64), (1, 96), (4, 64), (5, 64), (2, 96), (3, 64)):
        x = faces(count, side_px)
        residual = fixed.residual(x)
        assert residual.shape == x.shape
        assert float(residual.abs().max()) > 0.01
        torch.testing.assert_close(residual, plain.residual(x), atol=2e-3, rtol=0.02)


def test_batches_share_few_sizes_whose_memory_stays_in_place() -> None:
    seen: list[tuple[int, int]] = []

    def doubled(x: torch.Tensor) -> torch.Tensor:
        seen.append((len(x), x.data_ptr()))
        return 2 * x

    fixed = FixedBatches(doubled)
    for count in range(1, 17):
        x = faces(count)
        torch.testing.assert_close(fixed(x), 2 * x)
    assert [size for size, _ in seen] == [1, 2, 4, 4, *[8] * 4, *[16] * 8]
    assert len(set(seen)) == 5


def test_a_result_is_not_changed_by_the_next_batch() -> None:
    fixed = FixedBatches(lambda x: x)
    first, wanted = fixed(faces(3)), faces(3)
    fixed(faces(4))
    torch.testing.assert_close(first, wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_replayed_batches_give_what_launched_ones_do(tiny_network: AMINet) -> None:
    device = torch.device("cuda")
    network = tiny_network.to(device, torch.bfloat16)
    plain, fixed = (Restorer(network, device, fixed_batches=each) for each in (False, True))
    for count in (3, 4, 1, 3, 7):
        x = faces(count).to(device)
        torch.testing.assert_close(fixed.residual(x), plain.residual(x), atol=2e-2, rtol=0.05)
