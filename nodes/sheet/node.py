"""`aminet.sheet`: writes contact sheets of the restored faces.

One sheet shows the best shot of each face. Each face also has its own sheet with its sharpest,
largest and most frontal shot.

The source (enlarged by bicubic) and the restored face are side by side, aligned by the same
transform, with the track number, time and eye distance. The caption says that a restored face is an
estimate, and if so that a generative network made it. Segments keep the shots as they were cut out;
they are drawn when the segments are joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nodes.errors import NodeConfigError
from nodes.geometry.alignment import compose, scaling
from nodes.join import SHEET, SHOTS, SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.picture.layout import Region
from nodes.picture.regions import RegionReader
from nodes.picture.rgb import to_8_bit
from nodes.sheet.best import BEST, draw_pages
from nodes.sheet.shots import Shot, cutout, write_shots
from nodes.types import FacePatch, Frame, FramePatches, FrameRestored, VideoInfo

__all__ = ["SHOTS_FILE", "Sheet", "SheetConfig"]

SHOTS_FILE: Final = "shots.npz"
"""The shots of a segment."""

_BETTER: Final = 1.15
"""A new shot replaces the kept one if it is better by this factor, because reading takes time."""
_LEAST_TURN_DEG: Final = 10.0
"""Poses below this count as frontal, deg, since they are not known more exactly."""
_SHARP_ENOUGH: Final = 0.02
"""Mean difference of neighbouring pixels, of full scale, above which sharpness is not rewarded."""


class SheetConfig(NodeConfig):
    """Size of the contact sheet."""

    max_tracks: int = Field(default=24, ge=1, le=200)
    """Most faces on the sheet; those with the best shots are kept."""
    face_px: int = Field(default=256, ge=64, le=512)
    """Side of each picture of a face."""
    columns: int = Field(default=3, ge=1, le=8)
    """Pairs of pictures per row."""
    changes: bool = False
    """Whether a third picture of each face shows what changed, amplified."""


class Sheet(SinkNode[SheetConfig]):
    """Collects the best shots of each track, and writes them as PNG files."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.sheet",
        summary="write a before/after contact sheet, the best shot of each face",
        inputs=(
            Port("before", Frame),
            Port("after", Frame),
            Port("patches", FramePatches),
            Port("restored", FrameRestored, optional=True),
        ),
    )
    Config: ClassVar[type[NodeConfig]] = SheetConfig
    endings: ClassVar[tuple[str, ...]] = (SHEET, f"{SHOTS}/[0-9]*[0-9].png")

    def __init__(self, config: SheetConfig) -> None:
        super().__init__(config)
        self._shots: dict[int, dict[str, tuple[float, Shot]]] = {}
        """For each track and kind, the quality of the best shot, and the shot."""
        self._readers: tuple[RegionReader, RegionReader] | None = None
        self._seconds_per_tick = 1.0
        self._path: Path | None = None

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start an empty sheet.

        Raises:
            NodeConfigError: the restored frames do not have the scale of the faces.
        """
        before, after = inputs["before"], inputs["after"]
        scale = inputs["patches"].patch_scale
        wanted_px = before.width_px * scale, before.height_px * scale
        if (after.width_px, after.height_px) != wanted_px:
            raise NodeConfigError(
                f"sheet: the frames after are {after.width_px}x{after.height_px}, expected"
                f" {wanted_px[0]}x{wanted_px[1]}, as the faces are cut out for scale {scale}"
            )
        self._shots = {}
        self._readers = RegionReader(before.color), RegionReader(after.color)
        self._seconds_per_tick = float(before.time_base)
        self._path = segment.work_dir / SHOTS_FILE
        return before

    def process(self, inputs: Inputs) -> None:
        """Keep the faces of a frame that are better than those kept so far."""
        restored = inputs.find("restored", FrameRestored) or FrameRestored(inputs.pts)
        generative = {face.track_id for face in restored.patches if face.generative}
        for patch in inputs.get("patches", FramePatches).patches:
            qualities = shot_qualities(patch)
            kept = self._shots.get(patch.track_id)
            if kept is None and qualities[BEST] <= self._least_quality():
                continue
            better = {
                kind: quality
                for kind, quality in qualities.items()
                if kept is None or quality > kept[kind][0] * _BETTER
            }
            if better:
                before = inputs.get("before", Frame).picture
                after = inputs.get("after", Frame).picture
                drawn = patch.track_id in generative
                shot = self._shot(patch, inputs.pts, before, after, generative=drawn)
                shots = self._shots.setdefault(patch.track_id, {})
                shots |= {kind: (quality, shot) for kind, quality in better.items()}
            if len(self._shots) > self.config.max_tracks:
                del self._shots[min(self._shots, key=self._quality)]

    def finish(self) -> None:
        """Write the shots; without faces no file is written."""
        if self._shots and self._path is not None:
            write_shots(self._shots, self._path)

    def close(self) -> None:
        """Free the pictures."""
        self._readers = None
        self._shots = {}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Make a sheet of the best shots of all segments, and a sheet for each face.

        Raises:
            OSError: a file cannot be read or written.
        """
        assert isinstance(config, SheetConfig)  # noqa: S101 - for the type checker
        pages = draw_pages(
            [(part.folder / SHOTS_FILE, part.track_numbers) for part in parts],
            folder / "sheet.png",
            folder / "faces",
            max_tracks=config.max_tracks,
            columns=config.columns,
            side_px=config.face_px,
            changes=config.changes,
        )
        if not pages:
            return {}
        shots = {f"{SHOTS}/{page.name}": page for page in pages}
        return {SHEET: folder / "sheet.png"} | shots

    def _least_quality(self) -> float:
        """Return the quality that a new track must exceed to be added."""
        full = len(self._shots) >= self.config.max_tracks
        return min(map(self._quality, self._shots)) if full else 0.0

    def _quality(self, track_id: int) -> float:
        return self._shots[track_id][BEST][0]

    def _shot(
        self,
        patch: FacePatch,
        pts: int,
        before: av.VideoFrame,
        after: av.VideoFrame,
        *,
        generative: bool,
    ) -> Shot:
        if self._readers is None:
            raise RuntimeError("Sheet.process was called before open or after close")
        read_before, read_after = self._readers
        x0, y0, x1, y1 = patch.region_xyxy_px
        scale = patch.scale
        large: Region = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
        square_from_before = compose(scaling(1 / patch.size_px), patch.crop_from_region)
        square_from_after = compose(square_from_before, scaling(1 / scale))
        source = to_8_bit(read_before.rgb(before, patch.region_xyxy_px), patch.bit_depth)
        restored = to_8_bit(read_after.rgb(after, large), patch.bit_depth)
        return Shot(
            time_s=pts * self._seconds_per_tick,
            eye_distance_px=patch.eye_distance_px,
            before=cutout(source, square_from_before, self.config.face_px),
            after=cutout(restored, square_from_after, self.config.face_px),
            generative=generative,
        )


def shot_qualities(patch: FacePatch) -> dict[str, float]:
    """Return the quality of a shot, overall and by kind; higher is better."""
    steps = _mean_step(np.ascontiguousarray(patch.rgb[..., 1])) / ((1 << patch.bit_depth) - 1)
    sharp = min(steps / _SHARP_ENOUGH, 1.0)
    frontal = float(np.cos(np.radians(patch.yaw_deg)))
    turned_deg = float(np.hypot(patch.yaw_deg, patch.pitch_deg))
    return {
        BEST: patch.eye_distance_px * frontal * (0.25 + 0.75 * sharp) * patch.score,
        "sharpest": steps * patch.score,
        "largest": patch.eye_distance_px,
        "most frontal": patch.score / (_LEAST_TURN_DEG + turned_deg),
    }


def _mean_step(plane: npt.NDArray[Any]) -> float:
    """Return the mean difference of neighbouring pixels."""
    down, across = cv2.absdiff(plane[1:], plane[:-1]), cv2.absdiff(plane[:, 1:], plane[:, :-1])
    return (cv2.mean(down)[0] + cv2.mean(across)[0]) / 2
