"""Training batches: crops, their augmentation and their degradation.

A batch is a pure function of (seed, step): resuming at any step continues with the very same
batches, whatever the number of loader workers.

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

Protocol = Literal["bicubic", "camera"]

CANVAS_PX = 128
"""Side of a whole training face."""
VIDEO_SCALE = 38 / 28
"""Of faces as video aligns them, eyes 38 px apart, against the training faces' 28 px."""
HIGHEST_PX = 15.0
"""How much higher their eyes stand there."""
SCALES = (0.85, 2.3)
"""Of training faces: video shows large ones in squares of up to twice the canvas."""
PADDING = 0.25
"""Reflected border around a source, in sides, so that turned crops have no black corners."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training with one patch and batch size."""

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
    """Share of plainly bicubic groups in the camera protocol."""
    groups: int
    """Parts of a batch with one reduction and codec each."""


class Batch(NamedTuple):
    """One step's pictures, on the CPU."""

    hr_BCHW: Tensor
    """uint8, sharp."""
    lq_BCHW: Tensor
    """uint8, degraded and upsampled again."""
    corner: tuple[int, int]
    """Top and left of the patch to train on, px."""
    patch: int
    """Side of the patch, px."""


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
    """The stage that a step (from 0) belongs to; the last one for all steps beyond."""
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
    """Batch number -> batch. Use with `DataLoader(batch_size=None)`.

    Args:
        pictures: sources; people are drawn evenly up to the square root of their share.
        plan: how batches are made.
    """

    def __init__(self, pictures: Sequence[FacePicture], plan: BatchPlan) -> None:
        self.people = by_identity(pictures)
        weights = np.sqrt([len(person) for person in self.people])
        self.chances = weights / weights.sum()
        self.plan = plan

    def __len__(self) -> int:
        return sum(stage.steps for stage in self.plan.stages)

    def __getitem__(self, step: int) -> Batch:
        plan, stage = self.plan, stage_at(self.plan.stages, step)
        rng = _seeded(plan.seed, step)
        hr = np.stack([self._crop(rng) for _ in range(stage.batch)])
        hr_BCHW = torch.from_numpy(hr).permute(0, 3, 1, 2).contiguous()
        lq_BCHW = torch.empty_like(hr_BCHW)
        edges = np.linspace(0, stage.batch, plan.groups + 1).round().astype(int).tolist()
        for first, end in pairwise(edges):
            if first < end:
                seed = int(rng.integers(2**62))
                lq = degrade_group(_unit(hr_BCHW[first:end]), plan, seed)
                lq_BCHW[first:end] = _levels(lq)
        top, left = (int(v) for v in rng.integers(0, CANVAS_PX - stage.patch + 1, size=2))
        return Batch(hr_BCHW, lq_BCHW, (top, left), stage.patch)

    def _crop(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        person = self.people[int(rng.choice(len(self.people), p=self.chances))]
        image = _source(person[int(rng.integers(len(person)))].path)
        if self.plan.protocol == "bicubic":
            face = _paper_crop(image, rng)
        else:
            face = _light(_jittered_crop(image, rng), rng)
        return face[:, ::-1] if rng.random() < 0.5 else face


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


def _jittered_crop(image: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn by +-10 deg, scale by 0.85 to 2.3, shift by +-8 px: what tracking does to faces.

    A source is never enlarged by more than 15 %, or its crops would not be sharp. The larger the
    face, the higher it stands, or its chin would fall out: video's faces are aligned so. One larger
    than video's aligned faces is a part of a larger square, from anywhere in it.
    """
    own = image.width / CANVAS_PX
    low, high = SCALES
    scale = math.exp(rng.uniform(math.log(low), math.log(min(high, 1.15 * own))))
    angle = math.radians(rng.uniform(-10, 10))
    outside_px = CANVAS_PX / 2 * max(0.0, scale / VIDEO_SCALE - 1)
    shift = rng.uniform(-8, 8, size=2) + rng.uniform(-outside_px, outside_px, size=2)
    shift[1] -= HIGHEST_PX * min(1.0, max(0.0, (scale - 1) / (VIDEO_SCALE - 1)))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    linear = turn * own / scale
    offset = np.full(2, image.width / 2) - linear @ (np.full(2, CANVAS_PX / 2) + shift)
    return _warp(image, np.column_stack((linear, offset)))


def _paper_crop(image: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """RandomResizedCrop, area 0.7 to 1 and aspect 3/4 to 4/3, as the line of papers does."""
    area = rng.uniform(0.7, 1.0)
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    w, h = min(1.0, math.sqrt(area * aspect)), min(1.0, math.sqrt(area / aspect))
    left, top = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
    side = image.width
    box = (left * side, top * side, (left + w) * side, (top + h) * side)
    size = (CANVAS_PX, CANVAS_PX)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))


def _light(face_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, contrast and colour cast; grey one time in six. The target changes with it."""
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


def degrade_group(hr_BCHW: Tensor, plan: BatchPlan, seed: int) -> Tensor:
    """Degrade part of a batch, on the device it is on.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1].
        plan: protocol and shares.
        seed: decides everything.

    Returns:
        (B, 3, S, S) float in [0, 1].
    """
    side, coding = hr_BCHW.shape[-1], _coding(plan, seed)
    if plan.protocol == "bicubic":
        return bicubic_degrade(hr_BCHW, side // 8)
    if coding != "clean":
        generator = Generator().manual_seed(seed)
        return camera_degrade(hr_BCHW, generator, coding=coding, ranges=CAMERA_TRAINING)
    rng = _seeded(seed, 2)
    # Half of the clean groups at the two reductions that are judged, the rest from 1 to 10: what
    # lost nothing must come out as it is.
    factor = float(rng.choice([4.0, 8.0])) if rng.random() < 0.5 else float(10 ** rng.random())
    return bicubic_degrade(hr_BCHW, round(side / factor))


def _unit(x: Tensor) -> Tensor:
    return x.to(torch.float32) / 255


def _levels(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def to_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Move a batch's patches to the device.

    Returns:
        (sharp, degraded), each (B, 3, patch, patch) float in [0, 1].
    """
    # Whole faces are degraded and patches cut afterwards, so no patch has borders of its own.
    (top, left), side = batch.corner, batch.patch
    window = (..., slice(top, top + side), slice(left, left + side))
    hr, lq = (x[window].to(device, non_blocking=True) for x in (batch.hr_BCHW, batch.lq_BCHW))
    return _unit(hr), _unit(lq)
