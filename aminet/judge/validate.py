"""Scores of a network on a fixed set of degraded faces.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803, N815

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor

from aminet.data.degrade import camera_small, resize
from aminet.data.pictures import FacePicture, read_square
from aminet.data.tracks import TrackRanges, camera_track
from aminet.judge.metrics import psnr
from aminet.network import AMINet, self_ensemble
from aminet.precision import autocast_dtype

BATCH: Final = 16
CAMERA_SEED: Final = 20240901
UPRIGHT: Final = TrackRanges(roll_deg=0.0)
"""Tracks that show the whole square in every frame, up to the motion."""

Restore = Callable[[Tensor], Tensor]
"""(B, 3 or 7, S, S) degraded and upsampled, in [0, 1] -> (B, 3, S, S) restored, in [0, 1]."""


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
    return make_trial(f"x{scale}", hr_BCHW, resize(hr_BCHW, round(hr_BCHW.shape[-1] / scale)))


def camera_trial(hr_BCHW: Tensor, scale: int) -> Trial:
    """The camera protocol with a seed for each face, so that adding faces changes no other."""
    small = [
        camera_small(face, Generator().manual_seed(CAMERA_SEED + i), factor=scale)
        for i, face in enumerate(hr_BCHW.split(1))
    ]
    return make_trial(f"camera{scale}", hr_BCHW, torch.cat(small))


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
    return Trial(f"track{scale}", hr_BCHW, small, lq)


def standard_trials(pictures: Sequence[FacePicture], side: int) -> list[Trial]:
    """Clean bicubic x4 and x8, camera at factor 4, and the same with seven frames."""
    hr = load_faces([p.path for p in pictures], side)
    return [clean_trial(hr, 4), clean_trial(hr, 8), camera_trial(hr, 4), track_trial(hr, 4)]


def restore_with(network: AMINet, device: torch.device, *, ensemble: bool = False) -> Restore:
    """A network as a function on batches of any size, without gradients, clamped.

    Args:
        network: on `device`.
        device: where to work.
        ensemble: with its mirror image (`self_ensemble`).
    """
    dtype = autocast_dtype(device)

    def restore(lq_BCHW: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        network.eval()
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not None):
            # A network without history leaves it.
            for part in lq_BCHW[:, : network.config.in_channels].split(BATCH):
                x = part.to(device, memory_format=torch.channels_last)
                y = x[:, :3] + self_ensemble(network, x) if ensemble else network(x)
                outputs.append(y.float().clamp(0, 1).cpu())
        return torch.cat(outputs)

    return restore


def score(trials: Sequence[Trial], restore: Restore) -> dict[str, float]:
    """Mean PSNR-Y ("lab" convention), dB, of each trial and its gain over bicubic."""
    scores: dict[str, float] = {}
    for trial in trials:
        got = float(psnr(restore(trial.lq_BCHW), trial.hr_BCHW).mean())
        before = float(psnr(trial.lq_BCHW[:, :3], trial.hr_BCHW).mean())
        scores[trial.name] = got
        scores[f"{trial.name}_gain"] = got - before
    return scores
