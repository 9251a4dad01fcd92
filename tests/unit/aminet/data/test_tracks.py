"""Simulated tracks: what is still fuses to itself, what changes is not fused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aminet.data.burst import BurstSettings, compress_burst
from aminet.data.degrade import CameraRanges
from aminet.data.tracks import MOST_EARLIER, Track, TrackRanges, agreements, camera_track
from tests.support.faces import paint_face

CLEAR = CameraRanges(sigma_px=(0.2, 0.2), sharp_share=1.0, noise=0.0, jpeg_quality=(95, 95))
"""Hardly a fault."""
STILL = TrackRanges(
    roll_deg=0.0,
    speed_px=(1e-6, 1e-6),
    turn_deg=0.0,
    growth=0.0,
    bend_px=0.0,
    light=0.0,
    event_share=0.0,
    registration_px=(0.0, 0.0),
    failure_share=0.0,
)
MOVING = replace(
    TrackRanges(),
    bend_px=0.0,
    light=0.0,
    event_share=0.0,
    registration_px=(0.0, 0.0),
    failure_share=0.0,
)


def faces(count: int = 2) -> torch.Tensor:
    levels = np.stack([np.asarray(paint_face(seed)) for seed in range(count)])
    return torch.from_numpy(levels).permute(0, 3, 1, 2).to(torch.float32) / 255


def track(
    ranges: TrackRanges, seed: int = 0, earlier: int = 5, camera: CameraRanges = CLEAR
) -> Track:
    generator = torch.Generator().manual_seed(seed)
    return camera_track(
        faces(),
        generator,
        earlier=earlier,
        factor=2.0,
        coding="none",
        camera=camera,
        ranges=ranges,
    )


def inner(x: torch.Tensor) -> torch.Tensor:
    return x[..., 24:-24, 24:-24]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((inner(a) - inner(b)).abs().mean())


@pytest.mark.parametrize("earlier", [0, 1, MOST_EARLIER])
def test_a_still_face_fuses_to_itself_with_full_weight(earlier: int) -> None:
    x = track(STILL, earlier=earlier).x_BCHW
    assert x.shape == (2, 7, 128, 128)
    # Rounding to 8 bits is all that differs.
    assert torch.allclose(x[:, :3], x[:, 3:6], atol=1.5 / 255)
    full = torch.full_like(inner(x[:, 6]), earlier / (earlier + 1))
    torch.testing.assert_close(inner(x[:, 6]), full)


def test_a_moving_face_is_laid_over_itself() -> None:
    for seed in range(4):
        x = track(MOVING, seed).x_BCHW
        assert distance(x[:, :3], faces()) < 0.03
        assert distance(x[:, 3:6], x[:, :3]) < 0.01
        assert float(inner(x[:, 6]).mean()) > 0.75


def test_registration_errors_and_bends_move_the_fused_face() -> None:
    exact = distance(track(MOVING).x_BCHW[:, 3:6], faces())
    wrong = replace(MOVING, registration_px=(1.0, 1.0))
    for other in (wrong, replace(MOVING, bend_px=4.0)):
        assert (
            distance(track(other).x_BCHW[:, 3:6], faces()) > 1.05 * exact
        )  # the gate leaves out the worst


def test_what_was_hidden_or_otherwise_is_not_fused() -> None:
    events = replace(STILL, event_share=3.0)
    x = torch.cat([track(events, seed, earlier=8).x_BCHW for seed in range(6)])
    lowest = inner(x[:, 6]).flatten(1).amin(dim=1)
    assert float((lowest < 0.85).float().mean()) >= 0.75
    # The gate leaves only what is near the current frame.
    assert distance(x[:, 3:6], x[:, :3]) < 0.02


def test_noise_is_averaged_away() -> None:
    noisy = CameraRanges(sigma_px=(0.2, 0.2), sharp_share=1.0, noise=30.0)
    gains = []
    for seed in range(8):
        x = track(STILL, seed, earlier=8, camera=noisy).x_BCHW
        gains.append(distance(x[:, :3], faces()) - distance(x[:, 3:6], faces()))
    assert max(gains) > 0.005
    assert min(gains) > -0.002


def test_beyond_the_last_frame_nothing_is_learnt_from() -> None:
    rolled = TrackRanges(roll_deg=60.0, speed_px=(1e-6, 1e-6))
    still, turned = (track(ranges, seed=3).inside_B1HW for ranges in (STILL, rolled))
    assert float(still[..., 2:-2, 2:-2].min()) == 1
    assert float(inner(turned).min()) == 1
    assert float(turned.min()) == 0


def test_a_track_is_decided_by_its_seed() -> None:
    first, again, other = (track(TrackRanges(), seed).x_BCHW for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_agreement_falls_from_one_to_nothing() -> None:
    frames = torch.full((1, 2, 3, 64, 64), 0.5)
    # Usual noise is clamped to 1.2 to 6 levels: nothing, half of the way, all of it.
    frames[:, 0, :, :, 32:] += 0.5
    got = agreements(frames)[0, 0, 0]
    assert float(got[:, :24].min()) == 1
    assert float(got[:, 40:].max()) < 1e-3


def test_the_codec_sees_the_whole_track(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits spent on the frames before are there for the last one."""
    seen: list[torch.Tensor] = []

    def remembered(levels: NDArray[np.uint8], settings: BurstSettings) -> NDArray[np.uint8]:
        seen.append(torch.from_numpy(levels))
        return compress_burst(levels, settings)

    monkeypatch.setattr("aminet.data.degrade.compress_burst", remembered)
    generator = torch.Generator().manual_seed(0)
    moving = replace(MOVING, speed_px=(1.0, 1.0))
    x = camera_track(
        faces(),
        generator,
        earlier=6,
        factor=2.0,
        coding="video",
        camera=CLEAR,
        ranges=moving,
    ).x_BCHW
    # Seven frames of two faces of 64 px side by side, each another.
    assert seen[-1].shape == (7, 64, 128, 3)
    changes = (seen[-1][1:].float() - seen[-1][:-1].float()).abs().mean(dim=(1, 2, 3))
    assert float(changes.min()) > 0.5
    assert distance(x[:, :3], faces()) < 0.08
