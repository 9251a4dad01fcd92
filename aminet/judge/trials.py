"""Trials: degraded faces together with the true ones.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803, N815

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor

from aminet.data.degrade import camera_small, resize
from aminet.data.pictures import FacePicture, read_square
from aminet.data.tracks import TrackRanges, camera_track
from aminet.errors import TrainConfigError
from aminet.judge.identity import TRAINING_EYES

__all__ = [
    "ALL",
    "CAMERA_SEED",
    "PROTOCOLS",
    "SIDE_PX",
    "UPRIGHT",
    "Trial",
    "TrialPlan",
    "camera_trial",
    "clean_trial",
    "frame_trial",
    "load_faces",
    "make_trial",
    "plan_trials",
    "standard_trials",
    "track_trial",
]

SIDE_PX: Final = 128
"""Default side of a face, px: that of the training pictures."""
CAMERA_SEED: Final = 20240901
"""Seed of the first face; fixed, so that evaluations can be compared."""
UPRIGHT: Final = TrackRanges(roll_deg=0.0)
"""Tracks whose frames show the whole square, except for the motion."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to degrade a set of faces."""

    name: str
    hr_BCHW: Tensor
    """(B, 3, S, S) float in [0, 1], the true faces."""
    lr_BCHW: Tensor
    """(B, 3, s, s) float in [0, 1], s < S: the small, degraded faces."""
    lq_BCHW: Tensor
    """(B, 3, S, S) float in [0, 1]: the small faces upsampled by bicubic, the input of networks; or
    (B, 7, S, S) with a history."""

    @property
    def eyes_px(self) -> float:
        """Distance between the eyes in the small faces, px, if aligned as the training crops."""
        return TRAINING_EYES.distance * self.lr_BCHW.shape[-1]


def load_faces(paths: Sequence[Path], side: int) -> Tensor:
    """Read pictures as one (B, 3, side, side) float tensor in [0, 1].

    Raises:
        DataError: a picture is unreadable or too small.
    """
    faces = np.stack([read_square(path, side) for path in paths])
    return torch.from_numpy(faces).permute(0, 3, 1, 2).to(torch.float32) / 255


def make_trial(name: str, hr_BCHW: Tensor, lr_BCHW: Tensor) -> Trial:
    """Return a trial of true (B, 3, S, S) and small (B, 3, s, s) faces, upsampled by bicubic."""
    return Trial(name, hr_BCHW, lr_BCHW, resize(lr_BCHW, hr_BCHW.shape[-1]))


def clean_trial(hr_BCHW: Tensor, scale: int) -> Trial:
    """Reduce (B, 3, S, S) faces by PIL's bicubic."""
    small = resize(hr_BCHW, round(hr_BCHW.shape[-1] / scale))
    return make_trial(_name("x", scale, hr_BCHW), hr_BCHW, small)


def camera_trial(hr_BCHW: Tensor, scale: int) -> Trial:
    """Apply the camera protocol, with a seed for each face: adding faces does not change others."""
    small = [
        camera_small(face, Generator().manual_seed(CAMERA_SEED + i), factor=scale)
        for i, face in enumerate(hr_BCHW.split(1))
    ]
    return make_trial(_name("camera", scale, hr_BCHW), hr_BCHW, torch.cat(small))


def track_trial(hr_BCHW: Tensor, scale: int, earlier: int = 6) -> Trial:
    """Return the last frame of a simulated track, with `earlier` frames before it fused."""
    tracks = [
        camera_track(
            face,
            Generator().manual_seed(CAMERA_SEED + i),
            earlier=earlier,
            factor=scale,
            ranges=UPRIGHT,
        ).x_BCHW
        for i, face in enumerate(hr_BCHW.split(1))
    ]
    lq = torch.cat(tracks)
    small = resize(lq[:, :3], round(hr_BCHW.shape[-1] / scale))
    return Trial(_name("track", scale, hr_BCHW), hr_BCHW, small, lq)


def frame_trial(hr_BCHW: Tensor, scale: int) -> Trial:
    """Return the frame of `track_trial` without its history, to measure the gain from that."""
    track = track_trial(hr_BCHW, scale)
    return replace(track, name=_name("frame", scale, hr_BCHW), lq_BCHW=track.lq_BCHW[:, :3])


PROTOCOLS: Final[dict[str, Callable[[Tensor, int], Trial]]] = {
    "bicubic": clean_trial,
    "camera": camera_trial,
    "track": track_trial,
    "frame": frame_trial,
}
"""Functions that make a trial from (B, 3, S, S) faces and a reduction, by protocol."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """The settings of a trial."""

    protocol: str
    scale: int
    side_px: int = SIDE_PX

    def make(self, hr_BCHW: Tensor) -> Trial:
        """Make the trial from (B, 3, S, S) faces, S = `side_px`."""
        return PROTOCOLS[self.protocol](hr_BCHW, self.scale)


ALL: Final = (
    *(TrialPlan("bicubic", scale) for scale in (2, 4, 8)),
    *(TrialPlan("camera", scale) for scale in (2, 3, 4, 6, 8)),
    *(TrialPlan("track", scale) for scale in (2, 3, 4, 6, 8)),
    TrialPlan("frame", 4),
    *(TrialPlan("camera", scale, side) for side in (256, 704) for scale in (1, 2, 4)),
)
"""The trials for a network that ships. Eyes are 28 px apart in a face of 128 px, so 3.5 to 14 px in
the small faces, and 14 to 154 px in those of larger squares."""


def plan_trials(protocol: str, scales: Sequence[int] | None) -> tuple[TrialPlan, ...]:
    """Return the trials of a protocol.

    Args:
        protocol: a name of `PROTOCOLS`, or "all" for `ALL`.
        scales: reductions; None uses 4 and 8; must be None with "all".

    Raises:
        TrainConfigError: the protocol is unknown, or "all" is given with scales.
    """
    if protocol == "all":
        if scales is not None:
            raise TrainConfigError(
                f"protocol 'all' has its own reductions, got {list(scales)}: leave them out, or "
                f"choose one of {', '.join(PROTOCOLS)}",
                key="scales",
            )
        return ALL
    if protocol not in PROTOCOLS:
        raise TrainConfigError(
            f"no protocol {protocol!r}; expected one of {', '.join(PROTOCOLS)}, all",
            key="protocol",
        )
    return tuple(TrialPlan(protocol, scale) for scale in scales or (4, 8))


def _name(protocol: str, scale: int, hr_BCHW: Tensor) -> str:
    side = hr_BCHW.shape[-1]
    return f"{protocol}{scale}" if side == SIDE_PX else f"{protocol}{scale}@{side}"


def standard_trials(pictures: Sequence[FacePicture], side: int) -> list[Trial]:
    """Return bicubic x4 and x8, camera at factor 4, and a track of seven frames at factor 4."""
    hr = load_faces([p.path for p in pictures], side)
    return [clean_trial(hr, 4), clean_trial(hr, 8), camera_trial(hr, 4), track_trial(hr, 4)]
