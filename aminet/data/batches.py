"""Training batches: crops, augmentation and degradation.

A batch is a pure function of (seed, step): resuming at any step continues with the same batches,
whatever the number of loader workers.

Shape legend: B batch, C channels, H height, W width; S side in px.
"""
# ruff: noqa: N803, N806, N815

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor
from torch.utils.data import Dataset

from aminet.data.degrade import CAMERA_TRAINING, bicubic_degrade, camera_degrade
from aminet.data.pictures import FacePicture, by_identity, centre_square, check_size, read_rgb
from aminet.data.tracks import MOST_EARLIER, camera_track
from aminet.history import without_history

__all__ = [
    "CANVAS_PX",
    "FIRST_FRAMES",
    "HIGHEST_PX",
    "PADDING",
    "SCALES",
    "VIDEO_SCALE",
    "Batch",
    "BatchPlan",
    "Degraded",
    "Patches",
    "Protocol",
    "Stage",
    "TrainingBatches",
    "degrade_group",
    "stage_at",
    "to_device",
]

Protocol = Literal["bicubic", "camera"]

CANVAS_PX = 128
"""Side of a whole training face, px."""
VIDEO_SCALE = 38 / 28
"""Scale of faces as aligned in video (eyes 38 px apart, `nodes.types.EYES_OF_SIZE`) relative to the
training pictures (28 px)."""
HIGHEST_PX = 15.0
"""How much higher the eyes are in video's alignment than in the training pictures, px."""
SCALES = (0.85, 2.3)
"""Smallest and largest scale of training faces: in video the square of a large face is up to twice
the canvas."""
FIRST_FRAMES = 0.2
"""Share of tracks without history, as at the start of a track."""
PADDING = 0.25
"""Reflected border around a source, as a share of its side, so that rotated crops have no black
corners."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of training with one patch size and one batch size."""

    steps: int
    patch: int
    batch: int


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How batches are made."""

    protocol: Protocol
    stages: tuple[Stage, ...]
    seed: int
    clean_share: float
    """Share of groups in the camera protocol that are degraded by bicubic reduction only."""
    groups: int
    """Parts of a batch that have one reduction and one codec each."""
    in_channels: Literal[3, 7] = 3
    """Input channels of the network; 7 with a history."""
    track_share: float = 0.0
    """Share of the camera protocol's groups that are tracks, with 7 channels; the others are
    photographs."""


class Patches(NamedTuple):
    """The input of one training step, on its device; floats."""

    hr_BCHW: Tensor
    """(B, 3, H, W) in [0, 1], the sharp faces."""
    lq_BCHW: Tensor
    """(B, 3 or 7, H, W) in [0, 1], the degraded faces."""
    valid_B1HW: Tensor
    """(B, 1, H, W), 1 for pixels that count in the loss, else 0."""


class Degraded(NamedTuple):
    """A degraded part of a batch, floats."""

    lq_BCHW: Tensor
    """(B, 3 or 7, S, S) in [0, 1], the input of the plan's network."""
    inside_B1HW: Tensor
    """(B, 1, S, S): 1 inside the frame, 0 beyond its edge."""


class Batch(NamedTuple):
    """The pictures of one step, on the CPU."""

    hr_BCHW: Tensor
    """(B, 3, S, S) uint8, sharp."""
    lq_BCHW: Tensor
    """(B, 3 or 7, S, S) uint8, degraded and upsampled again."""
    valid_B1HW: Tensor
    """(B, 1, S, S) uint8: 1 where both pictures are valid, else 0."""
    corner: tuple[int, int]
    """Top and left of the patch to train on, px."""
    patch: int
    """Side of the patch, px."""


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
    """Return the stage of a step (from 0); the last stage for all steps after it."""
    for stage in stages:
        if step < stage.steps:
            return stage
        step -= stage.steps
    return stages[-1]


@lru_cache(maxsize=4096)
def _source(path: Path) -> Image.Image:
    image = centre_square(read_rgb(path))
    check_size(image, path, CANVAS_PX // 2)
    return image


def _seeded(*numbers: int) -> np.random.Generator:
    return np.random.default_rng(numbers)


class TrainingBatches(Dataset[Batch]):
    """A dataset of whole batches, by step. Use with `DataLoader(batch_size=None)`.

    Args:
        pictures: sources; people are drawn uniformly, however many pictures each has.
        plan: how batches are made.
    """

    def __init__(self, pictures: Sequence[FacePicture], plan: BatchPlan) -> None:
        self.people = by_identity(pictures)
        self.plan = plan

    def __len__(self) -> int:
        return sum(stage.steps for stage in self.plan.stages)

    def __getitem__(self, step: int) -> Batch:
        plan, stage = self.plan, stage_at(self.plan.stages, step)
        rng = _seeded(plan.seed, step)
        crops = [self._crop(rng) for _ in range(stage.batch)]
        hr_BCHW = torch.from_numpy(np.stack([face for face, _ in crops]))
        hr_BCHW = hr_BCHW.permute(0, 3, 1, 2).contiguous()
        valid_B1HW = torch.from_numpy(np.stack([valid for _, valid in crops])).unsqueeze(1)
        lq: list[Tensor] = []
        edges = np.linspace(0, stage.batch, plan.groups + 1).round().astype(int).tolist()
        for first, end in pairwise(edges):
            if first < end:
                seed = int(rng.integers(2**62))
                degraded = degrade_group(_unit(hr_BCHW[first:end]), plan, seed)
                lq.append(_levels(degraded.lq_BCHW))
                valid_B1HW[first:end] *= degraded.inside_B1HW.to(torch.uint8)
        top, left = (int(v) for v in rng.integers(0, CANVAS_PX - stage.patch + 1, size=2))
        return Batch(hr_BCHW, torch.cat(lq), valid_B1HW, (top, left), stage.patch)

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return a face, (S, S, 3), and its mask of valid pixels, (S, S)."""
        person = self.people[int(rng.integers(len(self.people)))]
        picture = person[int(rng.integers(len(person)))]
        image = _source(picture.path)
        if self.plan.protocol == "bicubic":
            face, matrix = _paper_crop(image, rng)
        else:
            matrix = _jittered_crop(image.width, rng)
            face = _light(_warp(image, matrix), rng)
        valid = _inside(matrix, image.width, picture.valid)
        return (face[:, ::-1], valid[:, ::-1]) if rng.random() < 0.5 else (face, valid)


def _inside(
    matrix: NDArray[np.float64], side: int, valid: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """Return (S, S): 1 where a crop shows the source within `valid`, which is in sides."""
    centre = np.arange(CANVAS_PX) + 0.5
    x = matrix[0, 0] * centre[None, :] + matrix[0, 1] * centre[:, None] + matrix[0, 2]
    y = matrix[1, 0] * centre[None, :] + matrix[1, 1] * centre[:, None] + matrix[1, 2]
    left, top, right, bottom = (side * v for v in valid)
    return ((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).astype(np.uint8)


def _warp(image: Image.Image, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Sample a CANVAS_PX square: `matrix` (2, 3) takes canvas px to source px, edges at 0."""
    # PIL's transform has no antialiasing, so reduce first.
    reduction = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if reduction > 1:
        side = max(CANVAS_PX // 2, round(image.width / reduction))
        matrix = matrix * (side / image.width)
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    pad = round(image.width * PADDING)
    padded = np.pad(np.asarray(image), ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    coefficients = matrix + np.array([[0, 0, pad], [0, 0, pad]])
    warped = Image.fromarray(padded).transform(
        (CANVAS_PX, CANVAS_PX),
        Image.Transform.AFFINE,
        tuple(coefficients.ravel().tolist()),
        Image.Resampling.BICUBIC,
    )
    return np.asarray(warped)


def _jittered_crop(width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a crop's matrix, from canvas px to px of a source of this width.

    Rotation of +-10 deg, scale of 0.85 to 2.3 and shift of +-8 px, as tracking aligns faces. A
    source is never enlarged by more than 15 %, since its crops would not be sharp. Larger faces are
    placed higher, as in video's alignment, so that the chin stays inside. A face larger than in
    video's alignment is a random part of a larger square.
    """
    own = width / CANVAS_PX
    low, high = SCALES
    scale = math.exp(rng.uniform(math.log(low), math.log(min(high, 1.15 * own))))
    angle = math.radians(rng.uniform(-10, 10))
    outside_px = CANVAS_PX / 2 * max(0.0, scale / VIDEO_SCALE - 1)
    shift = rng.uniform(-8, 8, size=2) + rng.uniform(-outside_px, outside_px, size=2)
    shift[1] -= HIGHEST_PX * min(1.0, max(0.0, (scale - 1) / (VIDEO_SCALE - 1)))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    linear = turn * own / scale
    offset = np.full(2, width / 2) - linear @ (np.full(2, CANVAS_PX / 2) + shift)
    return np.column_stack((linear, offset))


def _paper_crop(
    image: Image.Image, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """RandomResizedCrop with area 0.7 to 1 and aspect 3/4 to 4/3, as in the face papers.

    Returns:
        The crop and its matrix, from canvas px to source px.
    """
    area = rng.uniform(0.7, 1.0)
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    w, h = min(1.0, math.sqrt(area * aspect)), min(1.0, math.sqrt(area / aspect))
    left, top = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
    side = image.width
    box = (left * side, top * side, (left + w) * side, (top + h) * side)
    size = (CANVAS_PX, CANVAS_PX)
    face = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))
    across, down = w * side / CANVAS_PX, h * side / CANVAS_PX
    return face, np.array([[across, 0, box[0]], [0, down, box[1]]])


def _light(face_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change exposure, contrast and colour cast; grey one time in six. Applied to the target."""
    x = face_HWC.astype(np.float32) / 255
    if rng.random() < 1 / 6:
        x = np.repeat(x @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    if rng.random() < 0.5:
        gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, size=3)
        x = np.clip(x * gain + rng.uniform(-0.06, 0.06), 0, 1)
    return (x * 255 + 0.5).astype(np.uint8)


def _coding(plan: BatchPlan, seed: int) -> Literal["clean", "none", "jpeg", "video"]:
    if plan.protocol == "bicubic":
        return "clean"
    draw = float(_seeded(seed, 1).random())
    if draw < plan.clean_share:
        return "clean"
    draw = (draw - plan.clean_share) / (1 - plan.clean_share)
    return "none" if draw < 0.15 else "jpeg" if draw < 0.5 else "video"


def degrade_group(hr_BCHW: Tensor, plan: BatchPlan, seed: int) -> Degraded:
    """Degrade one group of a batch, on its device.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1].
        plan: protocol and shares.
        seed: of all random draws.
    """
    coding = _coding(plan, seed)
    if coding == "clean":
        lq_BCHW = bicubic_degrade(hr_BCHW, _clean_side(hr_BCHW.shape[-1], plan, seed))
    else:
        generator = Generator().manual_seed(seed)
        earlier = _earlier(plan, seed)
        if earlier is not None:
            return Degraded(
                *camera_track(
                    hr_BCHW, generator, earlier=earlier, coding=coding, camera=CAMERA_TRAINING
                )
            )
        lq_BCHW = camera_degrade(hr_BCHW, generator, coding=coding, ranges=CAMERA_TRAINING)
    if plan.in_channels == 7:
        lq_BCHW = without_history(lq_BCHW)
    return Degraded(lq_BCHW, torch.ones_like(lq_BCHW[:, :1]))


def _clean_side(side: int, plan: BatchPlan, seed: int) -> int:
    if plan.protocol == "bicubic":
        return side // 8
    rng = _seeded(seed, 2)
    # Half of the clean groups have the two reductions of the evaluation, the rest 1 to 10: a face
    # that lost nothing must not change.
    factor = float(rng.choice([4.0, 8.0])) if rng.random() < 0.5 else float(10 ** rng.random())
    return round(side / factor)


def _earlier(plan: BatchPlan, seed: int) -> int | None:
    """Draw the number of earlier frames of a group of tracks; None for a group of photographs."""
    rng = _seeded(seed, 3)
    if plan.in_channels == 3 or rng.random() >= plan.track_share:
        return None
    return 0 if rng.random() < FIRST_FRAMES else int(rng.integers(1, MOST_EARLIER + 1))


def _unit(x: Tensor) -> Tensor:
    return x.to(torch.float32) / 255


def _levels(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def to_device(batch: Batch, device: torch.device) -> Patches:
    """Cut a batch's patches and move them to the device."""
    # Whole faces are degraded before patches are cut, so that patches have no borders of their own.
    (top, left), side = batch.corner, batch.patch
    window = (..., slice(top, top + side), slice(left, left + side))
    hr, lq, valid = (
        x[window].to(device, non_blocking=True)
        for x in (batch.hr_BCHW, batch.lq_BCHW, batch.valid_B1HW)
    )
    return Patches(_unit(hr), _unit(lq), valid.to(torch.float32))
