"""Trials: ways to degrade faces, each with the truth.

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
"""Of a face, unless said otherwise."""
CAMERA_SEED: Final = 20240901
UPRIGHT: Final = TrackRanges(roll_deg=0.0)
"""Tracks that show the whole square in every frame, up to the motion."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to degrade a set of faces."""

    name: str
    hr_BCHW: Tensor
    """(B, 3, S, S) float in [0, 1], the truth."""
    lr_BCHW: Tensor
    """(B, 3, s, s), s < S: small and degraded."""
    lq_BCHW: Tensor
    """(B, 3, S, S): the small face upsampled by bicubic, which networks are given; or (B, 7, S, S)
    with its history."""

    @property
    def eyes_px(self) -> float:
        """From eye to eye in the small faces, px, if they are cut as the training crops are."""
        return TRAINING_EYES.distance * self.lr_BCHW.shape[-1]


def load_faces(paths: Sequence[Path], side: int) -> Tensor:
    """Pictures as one (B, 3, side, side) float tensor in [0, 1].

    Raises:
        DataError: for pictures that are unreadable or too small.
    """
    faces = np.stack([read_square(path, side) for path in paths])
    return torch.from_numpy(faces).permute(0, 3, 1, 2).to(torch.float32) / 255


def make_trial(name: str, hr_BCHW: Tensor, lr_BCHW: Tensor) -> Trial:
    """Upsample the small faces as the networks expect them."""
    return Trial(name, hr_BCHW, lr_BCHW, resize(lr_BCHW, hr_BCHW.shape[-1]))


def clean_trial(hr_BCHW: Tensor, scale: int) -> Trial:
    """Reduction by PIL's bicubic and nothing else."""
    small = resize(hr_BCHW, round(hr_BCHW.shape[-1] / scale))
    return make_trial(_name("x", scale, hr_BCHW), hr_BCHW, small)


def camera_trial(hr_BCHW: Tensor, scale: int) -> Trial:
    """The camera protocol with a seed for each face, so that adding faces changes no other."""
    small = [
        camera_small(face, Generator().manual_seed(CAMERA_SEED + i), factor=scale)
        for i, face in enumerate(hr_BCHW.split(1))
    ]
    return make_trial(_name("camera", scale, hr_BCHW), hr_BCHW, torch.cat(small))


def track_trial(hr_BCHW: Tensor, scale: int, earlier: int = 6) -> Trial:
    """The last frame of a track through a camera, with the frames before it fused."""
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
    """The frame of `track_trial` by itself: what its history is worth."""
    track = track_trial(hr_BCHW, scale)
    return replace(track, name=_name("frame", scale, hr_BCHW), lq_BCHW=track.lq_BCHW[:, :3])


PROTOCOLS: Final[dict[str, Callable[[Tensor, int], Trial]]] = {
    "bicubic": clean_trial,
    "camera": camera_trial,
    "track": track_trial,
    "frame": frame_trial,
}
"""Name -> what makes a trial of faces and a reduction."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """A trial that is not made yet."""

    protocol: str
    scale: int
    side_px: int = SIDE_PX

    def make(self, hr_BCHW: Tensor) -> Trial:
        """Degrade (B, 3, S, S) faces of the plan's side."""
        return PROTOCOLS[self.protocol](hr_BCHW, self.scale)


ALL: Final = (
    *(TrialPlan("bicubic", scale) for scale in (2, 4, 8)),
    *(TrialPlan("camera", scale) for scale in (2, 3, 4, 6, 8)),
    *(TrialPlan("track", scale) for scale in (2, 3, 4, 6, 8)),
    TrialPlan("frame", 4),
    *(TrialPlan("camera", scale, 2 * SIDE_PX) for scale in (1, 2, 4)),
)
"""What a network that ships is judged on. Eyes are 28 px apart in a face of 128 px, so 3.5 to 14 px
in the small faces, and 14 to 56 px in those of the larger squares."""


def plan_trials(protocol: str, scales: Sequence[int] | None) -> tuple[TrialPlan, ...]:
    """Plan the trials of a protocol.

    Args:
        protocol: a name of `PROTOCOLS`, or "all" for `ALL`.
        scales: reductions; None takes 4 and 8, or for "all" its own.

    Raises:
        TrainConfigError: an unknown protocol, or scales for "all".
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
    """Clean bicubic x4 and x8, camera at factor 4, and the same with seven frames."""
    hr = load_faces([p.path for p in pictures], side)
    return [clean_trial(hr, 4), clean_trial(hr, 8), camera_trial(hr, 4), track_trial(hr, 4)]
