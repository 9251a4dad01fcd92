"""Shots of faces: their pixels before and after, how they are drawn, and their file.

A segment's shots are stored as they were cut out. They are drawn when the segments are joined, so
that only those that are shown are drawn, and each of them once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from nodes.geometry.alignment import Matrix, compose, scaling, similarity_scale
from nodes.geometry.face_view import warped
from nodes.types import RgbImage

__all__ = ["Cutout", "Shot", "ShotFile", "ShotRecord", "cutout", "write_shots"]

_INDEX: Final = "index"


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """The pixels around a face."""

    rgb: RgbImage
    """Shape (H, W, 3), 8 bit."""
    square_from_rgb: Matrix
    """To the aligned square of side 1."""

    def drawn(self, side_px: int) -> RgbImage:
        """Warp to the aligned square, (side_px, side_px, 3)."""
        return warped(self.rgb, compose(scaling(side_px), self.square_from_rgb), side_px)


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A face in one frame, before and after."""

    time_s: float
    eye_distance_px: float
    before: Cutout
    after: Cutout
    generative: bool = False
    """Whether a generative network restored it."""


@dataclass(frozen=True, slots=True)
class ShotRecord:
    """What a file says of a shot, without its pixels."""

    track_id: int
    time_s: float
    eye_distance_px: float
    generative: bool
    square_from_before: list[list[float]]
    square_from_after: list[list[float]]
    qualities: dict[str, float] = field(default_factory=dict[str, float])
    """Its quality in each kind in which it is its face's best."""


def cutout(rgb: RgbImage, square_from_rgb: Matrix, side_px: int) -> Cutout:
    """Return pixels to be drawn in a square of `side_px`, with no more resolution than that needs.

    Args:
        rgb: (H, W, 3), 8 bit.
        square_from_rgb: to the aligned square of side 1.
        side_px: of the square that will be drawn.
    """
    factor = int(1 / (side_px * similarity_scale(square_from_rgb)))
    if factor > 1:
        height, width = (side // factor for side in rgb.shape[:2])
        whole = rgb[: height * factor, : width * factor]
        small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        return Cutout(np.asarray(small, np.uint8), compose(square_from_rgb, scaling(factor)))
    return Cutout(rgb, square_from_rgb)


def write_shots(shots: Mapping[int, Mapping[str, tuple[float, Shot]]], path: Path) -> None:
    """Write the shots of a segment, each once.

    Args:
        shots: for each track and kind the quality of the best shot, and the shot.
        path: the file to write, whose name ends in `.npz`.

    Raises:
        OSError: the file cannot be written.
    """
    records: list[ShotRecord] = []
    arrays: dict[str, npt.NDArray[Any]] = {}
    for track_id, by_kind in shots.items():
        qualities: dict[int, dict[str, float]] = {}
        for kind, (quality, shot) in by_kind.items():
            qualities.setdefault(id(shot), {})[kind] = quality
        for shot in {id(shot): shot for _, shot in by_kind.values()}.values():
            row = len(records)
            arrays |= {f"before{row}": shot.before.rgb, f"after{row}": shot.after.rgb}
            record = ShotRecord(
                track_id,
                shot.time_s,
                shot.eye_distance_px,
                shot.generative,
                shot.before.square_from_rgb.tolist(),
                shot.after.square_from_rgb.tolist(),
                qualities[id(shot)],
            )
            records.append(record)
    index = json.dumps([asdict(record) for record in records])
    arrays[_INDEX] = np.frombuffer(index.encode(), np.uint8)
    np.savez(path, allow_pickle=False, **arrays)


class ShotFile:
    """The shots of a segment, whose pixels are read when they are needed."""

    def __init__(self, path: Path) -> None:
        """Read the records.

        Raises:
            OSError: the file cannot be read.
        """
        self._path = path
        with np.load(path) as arrays:
            index = json.loads(arrays[_INDEX].tobytes())
        self.records: tuple[ShotRecord, ...] = tuple(ShotRecord(**entry) for entry in index)

    def read(self, row: int) -> Shot:
        """Read the shot of a record.

        Raises:
            OSError: the file cannot be read.
        """
        record = self.records[row]
        with np.load(self._path) as arrays:
            before, after = arrays[f"before{row}"], arrays[f"after{row}"]
        return Shot(
            record.time_s,
            record.eye_distance_px,
            Cutout(before, np.array(record.square_from_before)),
            Cutout(after, np.array(record.square_from_after)),
            record.generative,
        )
