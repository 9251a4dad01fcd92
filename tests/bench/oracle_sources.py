"""Known faces in frames, and the same frames as a camera would have given them: the oracle bench's
sources.

One frame holds one face of each person, side by side, so that a frame costs one run of the program
and one encoding. The reference has the output's resolution; the source is the reference through a
lens, reduced, and compressed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from aminet.data.burst import BurstSettings, compress_burst
from nodes.types import Face

__all__ = [
    "CODINGS",
    "Coding",
    "Condition",
    "Scene",
    "draw_scene",
    "draw_track",
    "list_people",
    "luma_of",
]

Coding = Literal["clean", "jpeg", "h264"]
CODINGS: Final[tuple[Coding, ...]] = ("clean", "jpeg", "h264")
JPEG_QUALITY: Final = 40
CRF: Final = 28

_EYES: Final = 28 / 128, 65 / 128
"""Of the training crops: distance between the eyes over the side, and their height."""
_PERSON: Final = re.compile(r"(.*_)?id\d+")
_BURST: Final = 4
"""Frames of video that lead up to those that are looked at."""
_MARGIN_PX: Final = 2
_DRIFT_PX: Final = 0.4
"""Fastest motion along an edge, in source pixels a frame."""

Rgb = npt.NDArray[np.uint8]
Luma = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """What happens to the faces of one frame."""

    eyes_px: int
    """Distance between the eyes in the source."""
    scale: int
    """Output pixels per source pixel."""
    coding: Coding
    lens_px: float
    """Standard deviation of the lens's blur, in source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One frame of known faces."""

    source: Rgb
    reference: Rgb
    """`scale` times as large."""
    faces: tuple[Face, ...]
    """In pixels of the source."""


def list_people(folder: Path, count: int, seed: int = 0) -> list[Image.Image]:
    """Read one large crop each of so many people, drawn from a folder of training crops.

    The names of a person's pictures begin alike, up to `idNUMBER`.

    Raises:
        ValueError: there are too few people with a crop of 256 px.
    """
    of_person: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        person = _PERSON.match(path.name)
        if person is None:
            continue
        with Image.open(path) as image:
            if image.width >= 256:
                of_person.setdefault(person[0], path)
    if len(of_person) < count:
        raise ValueError(f"{folder} has {len(of_person)} people with a crop of 256 px, not {count}")
    names = sorted(of_person)
    chosen = np.random.default_rng(seed).permutation(len(names))[:count]
    return [Image.open(of_person[names[i]]).convert("RGB") for i in sorted(chosen)]


def draw_scene(people: Sequence[Image.Image], condition: Condition) -> Scene:
    """Lay the people side by side, and degrade the whole."""
    return draw_track(people, condition, 1)[0]


def draw_track(
    people: Sequence[Image.Image], condition: Condition, frames: int
) -> tuple[Scene, ...]:
    """Lay the people side by side and let each drift on a way of its own."""
    rng = np.random.default_rng((condition.eyes_px, condition.scale))
    starts = rng.uniform(0, 1, (len(people), 2))
    ways = rng.uniform(-_DRIFT_PX, _DRIFT_PX, (len(people), 2))
    drawn = [_laid(people, condition, starts, index * ways) for index in range(frames)]
    sources = degraded([reference for reference, _ in drawn], condition)
    return tuple(
        Scene(source, reference, faces)
        for source, (reference, faces) in zip(sources, drawn, strict=True)
    )


def _laid(
    people: Sequence[Image.Image],
    condition: Condition,
    starts: npt.NDArray[np.floating],
    moved_px: npt.NDArray[np.floating],
) -> tuple[Rgb, tuple[Face, ...]]:
    """Return one reference; cells are what is cut out of each crop, at a place of its own."""
    cell_px = int(condition.eyes_px / _EYES[0] / 2) * 2 - 2 * _MARGIN_PX
    large_px = cell_px * condition.scale
    cells: list[Rgb] = []
    faces: list[Face] = []
    for number, (person, start, moved) in enumerate(zip(people, starts, moved_px, strict=True)):
        step = person.width * _EYES[0] / condition.eyes_px
        room = person.width - cell_px * step
        left, top = np.clip(start * room + moved * step, 0, room)
        box = (left, top, left + cell_px * step, top + cell_px * step)
        cell = person.resize((large_px, large_px), Image.Resampling.LANCZOS, box=box)
        cells.append(np.asarray(cell))
        middle = (person.width * np.array([0.5, _EYES[1]]) - (left, top)) / step
        place = middle + np.array([number * cell_px, 0])
        faces.append(_face(number + 1, place, condition.eyes_px))
    return np.concatenate(cells, axis=1), tuple(faces)


def _face(track_id: int, middle_px: npt.NDArray[np.floating], eyes_px: float) -> Face:
    placements = [(-0.5, 0), (0.5, 0), (0, 0.6), (0, 1.11)]
    points = (middle_px + eyes_px * np.array(placements)).astype(np.float32)
    (x, y), half = middle_px, 1.2 * eyes_px
    box = (x - half, y - 0.7 * half, x + half, y + 1.3 * half)
    return Face(track_id, box, points, score=1.0, confirmed=True)


def degraded(references: Sequence[Rgb], condition: Condition) -> list[Rgb]:
    """Return what a lens, larger pixels and a codec leave of the pictures of a film."""
    small = [_through_lens(reference, condition) for reference in references]
    if condition.coding == "jpeg":
        return [_jpeg(picture) for picture in small]
    if condition.coding == "h264":
        # What is looked at comes after a while of film, as most frames do.
        before = [np.roll(small[0], (back % 2, back), axis=(0, 1)) for back in range(_BURST, 0, -1)]
        burst = compress_burst(np.stack([*before, *small]), BurstSettings("libx264", CRF))
        return list(burst[_BURST:])
    return small


def _through_lens(reference: Rgb, condition: Condition) -> Rgb:
    soft: npt.NDArray[Any] = reference
    scale = condition.scale
    if condition.lens_px:
        sigma = condition.lens_px * scale
        soft = gaussian_filter(reference.astype(np.float32), (sigma, sigma, 0))
    height, width = reference.shape[:2]
    blocks = soft.reshape(height // scale, scale, width // scale, scale, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def _jpeg(picture: Rgb) -> Rgb:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(buffer).convert("RGB"))


def luma_of(rgb: npt.NDArray[Any]) -> Luma:
    """Return the luma of RGB in 0 to 255, in 0 to 1."""
    return rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) / 255
