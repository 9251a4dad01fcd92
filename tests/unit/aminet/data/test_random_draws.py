import torch

from aminet.data.random_draws import RandomDraws

CPU = torch.device("cpu")


def test_the_frames_of_a_track_share_their_numbers_and_not_their_noise() -> None:
    draws = RandomDraws(torch.Generator().manual_seed(0), CPU, frames=3)
    numbers = draws.numbers(6, 2.0, 5.0)
    assert numbers[:3].unique().numel() == numbers[3:].unique().numel() == 1
    assert numbers[0] != numbers[3]
    assert 2 <= float(numbers.min()) <= float(numbers.max()) <= 5
    assert draws.normal((6, 4)).unique().numel() == 24
