"""Simulated tracks: a still picture moves through some frames of a poor camera and is fused again.

The frames differ by a similarity (motion of head and camera, at sub-pixel phases), by a small and
smooth deformation, by light, and sometimes by an event: another expression, or something in front
of the face, in all frames before it. The camera degrades them together (`camera_small`), so that
its codec sees the whole track. Each frame is then resampled on the square of the last one with the
true transform plus a registration error, which is sometimes gross. Frames that agree are fused
(`aminet.history`). The truth is the still picture.

Shape legend: B batch, T frames, C channels, H height, W width; S side of the square, px. Lengths
are in pixels of the square, or of the small frame ("source px"). Transforms map positions on the
square to positions in a frame, both relative to the centre.
"""
# ruff: noqa: N803, N806, N812, N815

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from aminet.data.degrade import CAMERA, CameraRanges, Coding, camera_small, quantise
from aminet.data.random_draws import RandomDraws
from aminet.history import with_history

__all__ = [
    "DISTRUST",
    "MOST_EARLIER",
    "NOISE_LEVELS",
    "TOLERANCE",
    "TRACK",
    "Track",
    "TrackRanges",
    "agreements",
    "camera_track",
]

MOST_EARLIER: Final = 12
"""Most frames before the one to restore."""


@dataclass(frozen=True, slots=True)
class TrackRanges:
    """Limits of a track's random draws. (low, high) pairs are drawn uniformly unless noted."""

    roll_deg: float = 10.0
    """Largest rotation between frame and square, in either direction."""
    speed_px: tuple[float, float] = (0.05, 1.5)
    """Source px per frame, drawn uniformly in the logarithm."""
    turn_deg: float = 0.4
    """Standard deviation of the rotation from frame to frame."""
    growth: float = 0.004
    """Standard deviation of the relative change of size from frame to frame."""
    bend_px: float = 1.2
    """Largest RMS of the deformation, px of a 128 px square; low values are more frequent."""
    light: float = 0.05
    """Largest relative change of light; low values are more frequent."""
    event_share: float = 0.3
    """Share of faces with an event."""
    registration_px: tuple[float, float] = (0.04, 0.2)
    """Standard deviation of the registration error, source px; 0.12 was measured on compressed
    faces."""
    failure_share: float = 0.04
    """Share of frames with a gross registration error, drawn from `failure_px`."""
    failure_px: tuple[float, float] = (0.7, 3.0)
    """Gross registration error, source px."""


TRACK: Final = TrackRanges(bend_px=3.0, event_share=0.6)
"""The ranges for training: faces of films move more than the defaults, which are for validation."""
NOISE_LEVELS: Final = (1.2, 6.0)
"""Smallest and largest mean difference that counts as noise, in 8-bit levels."""
TOLERANCE: Final = 1.2
"""Factor on the noise below which frames agree, because noise varies over the face."""
DISTRUST: Final = 4.0
"""How fast agreement falls with the excess difference e: 1 / (1 + DISTRUST e). This and the two
above have the values of `nodes.fuse.mean`."""


class Track(NamedTuple):
    """Degraded faces with their history."""

    x_BCHW: Tensor
    """(B, 7, S, S) float in [0, 1], the input of a network of 7 channels (`aminet.history`)."""
    inside_B1HW: Tensor
    """(B, 1, S, S) float: 1 inside the last frame, 0 beyond its edge."""


def camera_track(
    hr_BCHW: Tensor,
    generator: Generator,
    *,
    earlier: int,
    factor: float | None = None,
    coding: Coding | None = None,
    camera: CameraRanges = CAMERA,
    ranges: TrackRanges = TRACK,
) -> Track:
    """Simulate a track of sharp faces through a poor camera, and fuse its frames.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1], S at least 64: the face in the last frame.
        generator: on the CPU; advanced by the call.
        earlier: number of frames before the last, 0 to `MOST_EARLIER`.
        factor: net reduction; drawn when None.
        coding: drawn when None.
        camera: limits of the camera's draws.
        ranges: limits of the track's draws.
    """
    draws = RandomDraws(generator, hr_BCHW.device)
    if factor is None:
        factor = draws.log_number(*camera.factor)
    frames, side = earlier + 1, hr_BCHW.shape[-1]
    pixel = 2 * factor / side
    poses_BT23 = _poses(hr_BCHW.shape[0], frames, draws, ranges, pixel)
    sharp = _frames(hr_BCHW, poses_BT23, draws, ranges)
    small = camera_small(
        sharp, generator, factor=factor, coding=coding, ranges=camera, frames=frames
    )
    found_BT23 = _registered(poses_BT23, draws, ranges, pixel)
    drawn, inside = _drawn(small, found_BT23, side)
    frames_BT3SS = quantise(drawn).unflatten(0, (-1, frames))
    inside_BT1SS = inside.unflatten(0, (-1, frames))
    strictness = draws.number(0.7, 1.4)
    agreement = agreements(frames_BT3SS, strictness) * inside_BT1SS[:, :-1]
    return Track(with_history(frames_BT3SS, agreement), inside_BT1SS[:, -1])


def agreements(frames_BT3SS: Tensor, strictness: float = 1.0) -> Tensor:
    """Return how well each earlier frame agrees with the last one, for each pixel.

    Differences are averaged over windows of S / 14, so that noise does not look like a change. The
    typical difference between the two frames counts as noise, within `NOISE_LEVELS`. This is the
    rule of the node `fuse` (`nodes.fuse.mean`), so that networks train with the same weights.

    Args:
        frames_BT3SS: (B, T, 3, S, S) float in [0, 1], registered to the last.
        strictness: larger values tolerate smaller differences.

    Returns:
        (B, T - 1, 1, S, S) float: 1 where the difference is no more than noise, else down to 0.
    """
    side = frames_BT3SS.shape[-1]
    grey_BTSS = frames_BT3SS.mean(dim=2)
    difference = (grey_BTSS[:, :-1] - grey_BTSS[:, -1:]).abs()
    window = side // 28 * 2 + 1
    local = F.avg_pool2d(
        difference.flatten(0, 1).unsqueeze(1),
        window,
        stride=1,
        padding=window // 2,
        count_include_pad=False,
    ).view_as(difference)
    usual = local.flatten(2).median(dim=2).values
    noise = usual.clamp(NOISE_LEVELS[0] / 255, NOISE_LEVELS[1] / 255)[..., None, None] / strictness
    excess = ((local / (TOLERANCE * noise)) ** 2 - 1).clamp(min=0)
    return (1 / (1 + DISTRUST * excess)).unsqueeze(2)


def _walk(draws: RandomDraws, batch: int, frames: int, values: int) -> Tensor:
    """Draw (B, T, values): random walks that end in 0, with steps of standard deviation 1."""
    steps = draws.normal((batch, frames, values))
    # Half of each step carries over to the next, as heads have momentum.
    for t in range(1, frames):
        steps[:, t] = 0.6 * steps[:, t - 1] + 0.8 * steps[:, t]
    return steps.flip(1).cumsum(1).flip(1) - steps[:, -1:]


def _poses(
    batch: int, frames: int, draws: RandomDraws, ranges: TrackRanges, pixel: float
) -> Tensor:
    """Draw (B, T, 2, 3), square to frame; `pixel` is a source px where the square's side is 2."""
    walk = _walk(draws, batch, frames, 4)
    low, high = (math.log(speed) for speed in ranges.speed_px)
    speed = draws.numbers(batch, low, high).exp().view(-1, 1, 1) * pixel
    phase = (draws.uniform((batch, 1, 2)) - 0.5) * pixel
    roll = 2 * draws.uniform((batch, 1)) - 1
    angle = math.radians(ranges.roll_deg) * roll + math.radians(ranges.turn_deg) * walk[..., 0]
    growth = (ranges.growth * walk[..., 1]).clamp(-0.1, 0.1)
    # Limited, because a face outside the square teaches nothing.
    shift = (speed * walk[..., 2:]).clamp(-0.2, 0.2) + phase
    return _similarity(angle, growth, shift)


def _similarity(angle_BT: Tensor, growth_BT: Tensor, shift_BT2: Tensor) -> Tensor:
    cos, sin = angle_BT.cos() * growth_BT.exp(), angle_BT.sin() * growth_BT.exp()
    linear = torch.stack((cos, -sin, sin, cos), dim=-1).unflatten(-1, (2, 2))
    return torch.cat((linear, shift_BT2.unsqueeze(-1)), dim=-1)


def _registered(
    poses_BT23: Tensor, draws: RandomDraws, ranges: TrackRanges, pixel: float
) -> Tensor:
    """Add registration errors to all poses but the last, which is not registered."""
    b, t = poses_BT23.shape[:2]
    deviation = draws.numbers(b, *ranges.registration_px).view(-1, 1).expand(-1, t).clone()
    failed = draws.uniform((b, t)) < ranges.failure_share
    deviation[failed] = draws.numbers(b * t, *ranges.failure_px).view(b, t)[failed]
    deviation[:, -1] = 0
    error = draws.normal((b, t, 4)) * deviation.unsqueeze(-1) * pixel
    # Rotation and scale displace points halfway from the centre by half of their value.
    wrong = _similarity(error[..., 0], error[..., 1], error[..., 2:])
    linear = wrong[..., :2] @ poses_BT23[..., :2]
    shift = wrong[..., :2] @ poses_BT23[..., 2:] + wrong[..., 2:]
    return torch.cat((linear, shift), dim=-1)


def _frames(hr_BCHW: Tensor, poses_BT23: Tensor, draws: RandomDraws, ranges: TrackRanges) -> Tensor:
    """Render the sharp frames: (B * T, 3, S, S)."""
    b, t = poses_BT23.shape[:2]
    side = hr_BCHW.shape[-1]
    linear = torch.linalg.inv(poses_BT23[..., :2])
    square_from_frame = torch.cat((linear, -linear @ poses_BT23[..., 2:]), dim=-1).flatten(0, 1)
    grid = F.affine_grid(square_from_frame, [b * t, 3, side, side], align_corners=False)
    grid = grid + _bends(b, t, side, draws, ranges).flatten(0, 1)
    copies = hr_BCHW.unsqueeze(1).expand(-1, t, -1, -1, -1).flatten(0, 1)
    drawn = F.grid_sample(
        copies, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    drawn = _light(drawn.unflatten(0, (b, t)), draws, ranges)
    return _hidden(drawn, draws, ranges).flatten(0, 1).clamp(0, 1)


def _bends(batch: int, frames: int, side: int, draws: RandomDraws, ranges: TrackRanges) -> Tensor:
    """Draw (B, T, S, S, 2): displacements from the last frame, where the side is 2."""
    unit = 2 / 128
    fields = draws.normal((batch * 2, 2, 5, 5))
    fields = F.interpolate(fields, (side, side), mode="bicubic", align_corners=True)
    fields = fields.unflatten(0, (batch, 2))
    walk = _walk(draws, batch, frames, 2) / max(1, frames - 1) ** 0.5
    amount = draws.numbers(batch, 0, ranges.bend_px, power=2.0).view(-1, 1, 1) * walk
    flow = torch.einsum("btk,bkcyx->btyxc", amount * unit, fields)
    # Another expression: up to some frame, a part of the face is displaced.
    across = torch.linspace(-1, 1, side, device=draws.device)
    middle = draws.uniform((batch, 2, 1, 1)) - 0.5
    radius = draws.numbers(batch, 0.12, 0.35).view(-1, 1, 1)
    distance = (across[None, None, :] - middle[:, 0]) ** 2 + (
        across[None, :, None] - middle[:, 1]
    ) ** 2
    bump_BSS = torch.exp(-0.5 * distance / radius**2)
    move_B2 = draws.normal((batch, 2)) * 4 * unit
    before_BT = _before_an_event(batch, frames, draws, ranges.event_share)
    return flow + torch.einsum("bt,byx,bc->btyxc", before_BT, bump_BSS, move_B2)


def _before_an_event(batch: int, frames: int, draws: RandomDraws, share: float) -> Tensor:
    """Draw (B, T): 1 for the frames before an event, 0 from then on; the last is always 0."""
    first = (draws.uniform((batch, 1)) * frames).floor()
    first = torch.where(draws.uniform((batch, 1)) < share, first, 0.0)
    return (torch.arange(frames, device=draws.device) < first).to(torch.float32)


def _light(frames_BT3SS: Tensor, draws: RandomDraws, ranges: TrackRanges) -> Tensor:
    """Let the strength and direction of the light drift."""
    b, t, side = *frames_BT3SS.shape[:2], frames_BT3SS.shape[-1]
    amount = draws.numbers(b, 0, ranges.light, power=2.0).view(-1, 1, 1)
    walk = (amount * _walk(draws, b, t, 2) / max(1, t - 1) ** 0.5).view(b, t, 1, 1, 1, 2)
    across = torch.linspace(-1, 1, side, device=draws.device)
    return frames_BT3SS * (1 + walk[..., 0] + walk[..., 1] * across)


def _hidden(frames_BT3SS: Tensor, draws: RandomDraws, ranges: TrackRanges) -> Tensor:
    """Cover a part of some faces with a plain colour, in the frames before an event."""
    b, t, side = *frames_BT3SS.shape[:2], frames_BT3SS.shape[-1]
    across = torch.linspace(-1, 1, side, device=draws.device)
    middle = 2 * draws.uniform((b, 2, 1, 1)) - 1
    radii = 0.2 + 0.6 * draws.uniform((b, 2, 1, 1))
    distance = ((across[None, None, :] - middle[:, 0]) / radii[:, 0]) ** 2 + (
        (across[None, :, None] - middle[:, 1]) / radii[:, 1]
    ) ** 2
    covered = ((1 - distance) * 8).clamp(0, 1)
    before_BT = _before_an_event(b, t, draws, ranges.event_share / 3)
    cover = before_BT[:, :, None, None, None] * covered[:, None, None]
    colour = draws.uniform((b, 1, 3, 1, 1))
    return frames_BT3SS * (1 - cover) + colour * cover


def _drawn(small: Tensor, found_BT23: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Resample the small frames (B * T, 3, s, s) on the square; also return where they are."""
    count = small.shape[0]
    grid = F.affine_grid(found_BT23.flatten(0, 1), [count, 3, side, side], align_corners=False)
    # The same interpolation as at run time.
    drawn = F.grid_sample(small, grid, mode="bicubic", padding_mode="border", align_corners=False)
    inside = (grid.abs() <= 1).all(dim=-1).to(torch.float32).unsqueeze(1)
    return drawn, inside
