"""`aminet.sheet`: writes contact sheets of the restored faces.

One sheet shows the best shot of each face. Each face also has its own sheet with its sharpest,
largest and most frontal shot.

The source (enlarged by bicubic) and the restored face are side by side, aligned by the same
transform, with the track number, time and eye distance. The caption says that a restored face is an
estimate, and if so that a generative network made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import av
import numpy as np
from PIL import Image
from pydantic import Field

from nodes.errors import NodeConfigError
from nodes.geometry.alignment import Matrix, compose, scaling
from nodes.geometry.face_view import warped
from nodes.join import SHEET, SHOTS, SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.picture.layout import Region
from nodes.picture.regions import RegionReader
from nodes.picture.rgb import to_8_bit
from nodes.sheet.page import PagePair, merge_best_shots, merge_pages, write_page
from nodes.types import FacePatch, Frame, FramePatches, FrameRestored, RgbImage, VideoInfo

__all__ = ["BEST_SHOTS", "SHEET_NAME", "Sheet", "SheetConfig"]

SHEET_NAME: Final = "sheet.png"
BEST_SHOTS: Final = "face_*.png"
"""Pattern for the sheets of single faces."""
_BEST: Final = ""
"""Kind of the shot with the best overall quality."""

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


@dataclass(frozen=True, slots=True)
class _Shot:
    quality: float
    time_s: float
    eye_distance_px: float
    size_px: int
    before: RgbImage
    """The face's region of the source frame, 8 bit."""
    after: RgbImage
    """The same region of the output frame."""
    crop_from_before: Matrix
    crop_from_after: Matrix
    generative: bool


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
        self._shots: dict[int, dict[str, _Shot]] = {}
        self._readers: tuple[RegionReader, RegionReader] | None = None
        self._seconds_per_tick = 1.0
        self._path: Path | None = None
        self._written = False

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
        self._path = segment.work_dir / SHEET_NAME
        self._written = False
        return before

    def process(self, inputs: Inputs) -> None:
        """Keep the faces of a frame that are better than those kept so far."""
        restored = inputs.find("restored", FrameRestored) or FrameRestored(inputs.pts)
        generative = {face.track_id for face in restored.patches if face.generative}
        for patch in inputs.get("patches", FramePatches).patches:
            qualities = shot_qualities(patch)
            kept = self._shots.get(patch.track_id)
            if kept is None and qualities[_BEST] <= self._least_quality():
                continue
            better = {
                kind: quality
                for kind, quality in qualities.items()
                if kept is None or quality > kept[kind].quality * _BETTER
            }
            if better:
                before = inputs.get("before", Frame).picture
                after = inputs.get("after", Frame).picture
                drawn = patch.track_id in generative
                shot = self._shot(patch, inputs.pts, before, after, generative=drawn)
                shots = self._shots.setdefault(patch.track_id, {})
                shots |= {kind: replace(shot, quality=q) for kind, q in better.items()}
            if len(self._shots) > self.config.max_tracks:
                del self._shots[min(self._shots, key=self._quality)]

    def finish(self) -> None:
        """Write the sheets; without faces no file is written."""
        if not self._shots or self._path is None:
            return
        pairs = [self._pair(track_id, shots[_BEST]) for track_id, shots in self._shots.items()]
        changes = self.config.changes
        write_page(pairs, self._path, columns=self.config.columns, changes=changes)
        for track_id, shots in self._shots.items():
            kinds = {kind: shot for kind, shot in shots.items() if kind != _BEST}
            pairs = [self._pair(track_id, shot, kind) for kind, shot in kinds.items()]
            page = self._path.with_name(BEST_SHOTS.replace("*", str(track_id)))
            write_page(pairs, page, columns=len(pairs), changes=changes)
        self._written = True

    def close(self) -> None:
        """Free the pictures."""
        self._readers = None
        self._shots = {}

    def report(self) -> dict[str, Any]:
        """Return the name of the sheet, if there is one."""
        return {"sheet": SHEET_NAME if self._written else None}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Make a sheet of the best shots of all segments, and a sheet for each face.

        Raises:
            OSError: a file cannot be read or written.
        """
        assert isinstance(config, SheetConfig)  # noqa: S101 - for the type checker
        pages = [(part.folder / SHEET_NAME, part.track_numbers) for part in parts]
        if not merge_pages(
            pages,
            folder / SHEET_NAME,
            max_tracks=config.max_tracks,
            columns=config.columns,
            changes=config.changes,
        ):
            return {}
        shots = [
            (page, part.track_numbers)
            for part in parts
            for page in sorted(part.folder.glob(BEST_SHOTS))
        ]
        made = merge_best_shots(shots, folder / "faces", changes=config.changes)
        return {SHEET: folder / SHEET_NAME} | {f"{SHOTS}/{page.name}": page for page in made}

    def _least_quality(self) -> float:
        """Return the quality that a new track must exceed to be added."""
        full = len(self._shots) >= self.config.max_tracks
        return min(map(self._quality, self._shots)) if full else 0.0

    def _quality(self, track_id: int) -> float:
        return self._shots[track_id][_BEST].quality

    def _shot(
        self,
        patch: FacePatch,
        pts: int,
        before: av.VideoFrame,
        after: av.VideoFrame,
        *,
        generative: bool,
    ) -> _Shot:
        if self._readers is None:
            raise RuntimeError("Sheet.process was called before open or after close")
        read_before, read_after = self._readers
        x0, y0, x1, y1 = patch.region_xyxy_px
        scale = patch.scale
        large: Region = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
        return _Shot(
            quality=0.0,
            time_s=pts * self._seconds_per_tick,
            eye_distance_px=patch.eye_distance_px,
            size_px=patch.size_px,
            before=to_8_bit(read_before.rgb(before, patch.region_xyxy_px), patch.bit_depth),
            after=to_8_bit(read_after.rgb(after, large), patch.bit_depth),
            crop_from_before=patch.crop_from_region,
            crop_from_after=compose(patch.crop_from_region, scaling(1 / scale)),
            generative=generative,
        )

    def _face(self, rgb: RgbImage, crop_from_rgb: Matrix, size_px: int) -> Image.Image:
        """Warp a region to the aligned square of the sheet."""
        side_px = self.config.face_px
        return Image.fromarray(
            warped(rgb, compose(scaling(side_px / size_px), crop_from_rgb), side_px)
        )

    def _pair(self, track_id: int, shot: _Shot, kind: str = _BEST) -> PagePair:
        return PagePair(
            track_id=track_id,
            kind=kind,
            quality=shot.quality,
            time_s=shot.time_s,
            eye_distance_px=shot.eye_distance_px,
            before=self._face(shot.before, shot.crop_from_before, shot.size_px),
            after=self._face(shot.after, shot.crop_from_after, shot.size_px),
            generative=shot.generative,
        )


def shot_qualities(patch: FacePatch) -> dict[str, float]:
    """Return the quality of a shot, overall and by kind; higher is better."""
    luma = patch.rgb[..., 1].astype(np.float32) / ((1 << patch.bit_depth) - 1)
    steps = (np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()) / 2
    sharp = min(float(steps) / _SHARP_ENOUGH, 1.0)
    frontal = float(np.cos(np.radians(patch.yaw_deg)))
    turned_deg = float(np.hypot(patch.yaw_deg, patch.pitch_deg))
    return {
        _BEST: patch.eye_distance_px * frontal * (0.25 + 0.75 * sharp) * patch.score,
        "sharpest": float(steps) * patch.score,
        "largest": patch.eye_distance_px,
        "most frontal": patch.score / (_LEAST_TURN_DEG + turned_deg),
    }
