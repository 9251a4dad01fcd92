"""Faults of tape and film: each is what it says, and a picture is left."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from aminet.data.analogue import film, tape
from aminet.data.degrade import CAMERA, CAMERA_TRAINING, CameraRanges, camera_small
from aminet.data.random_draws import RandomDraws
from tests.support.faces import paint_face

CPU = torch.device("cpu")


def draws(seed: int, frames: int = 1) -> RandomDraws:
    return RandomDraws(torch.Generator().manual_seed(seed), CPU, frames)


def edge(left: tuple[float, ...], right: tuple[float, ...]) -> torch.Tensor:
    """A picture of two colours side by side."""
    x = torch.empty(4, 3, 32, 48)
    x[..., :24] = torch.tensor(left).view(3, 1, 1)
    x[..., 24:] = torch.tensor(right).view(3, 1, 1)
    return x


def face(side: int = 48) -> torch.Tensor:
    levels = np.asarray(paint_face(1, side)).copy()
    return torch.from_numpy(levels).permute(2, 0, 1)[None].to(torch.float32) / 255


@pytest.mark.parametrize("medium", [tape, film])
@pytest.mark.parametrize("side", [8, 13, 48])
def test_a_picture_of_any_size_is_left_in_range(
    medium: Callable[[torch.Tensor, RandomDraws], torch.Tensor], side: int
) -> None:
    x = face(side)
    for seed in range(6):
        y = medium(x, draws(seed))
        assert y.shape == x.shape
        assert float(y.min()) >= 0
        assert float(y.max()) <= 1
        assert float((y - x).abs().mean()) < 0.2


def test_colours_bleed_on_tape_farther_than_light() -> None:
    # Red and a green of the same luma: only the colours have an edge.
    colours = tape(edge((0.6, 0.1, 0.1), (0.1, 0.355, 0.1)), draws(1))
    greys = tape(edge((0.2, 0.2, 0.2), (0.6, 0.6, 0.6)), draws(1))

    def width(profile: torch.Tensor) -> float:
        """Columns between a fifth and four fifths of the way."""
        low, high = profile[:8].mean(), profile[-8:].mean()
        way = (profile - low) / (high - low)
        return int(((way > 0.2) & (way < 0.8)).sum())

    red = (colours[:, 0] - colours[:, 1]).mean(dim=(0, 1))
    assert width(red) > width(greys.mean(dim=(0, 1, 2)))


def test_tape_rings_at_edges() -> None:
    x = edge((0.3, 0.3, 0.3), (0.6, 0.6, 0.6))
    profiles = torch.stack([tape(x, draws(seed)).mean(dim=(0, 1, 2)) for seed in range(8)])
    assert float((profiles.amax(dim=1) - profiles[:, -8:].mean(dim=1)).max()) > 0.02


def test_grain_is_strongest_in_middle_tones() -> None:
    def roughness(level: float) -> float:
        flat = torch.full((16, 3, 32, 32), level)
        return float((film(flat, draws(3)) - flat).std())

    assert roughness(0.5) > 1.5 * roughness(0.99)


def test_frames_of_a_track_have_the_same_faults_but_other_noise() -> None:
    # The same picture three times: what differs is noise, and it is small on film.
    x = face().expand(3, -1, -1, -1)
    y = film(x, draws(4, frames=3))
    assert not torch.equal(y[0], y[1])
    spread = (y - x).flatten(1).std(dim=1)
    assert float(spread.max() / spread.min()) < 1.5


def test_what_networks_are_judged_on_has_no_such_faults() -> None:
    shares = ("tape_share", "film_share", "phone_share")
    assert all(getattr(CAMERA, share) == 0 for share in shares)
    assert all(getattr(CAMERA_TRAINING, share) > 0 for share in shares)


@pytest.mark.parametrize("share", ["tape_share", "film_share", "phone_share"])
def test_each_fault_is_used(share: str) -> None:
    x = face(128)
    quiet = CameraRanges(noise=0.0, sharp_share=1.0)
    with_fault, without = (
        camera_small(
            x,
            torch.Generator().manual_seed(0),
            factor=2.0,
            coding="none",
            ranges=replace(quiet, **{share: value}),
        )
        for value in (1.0, 0.0)
    )
    assert not torch.equal(with_fault, without)
