"""`aminet.tracks`: writes a row for each face in each frame, as JSON Lines.

A row has the position, track, score and pose of the face, and its restoration or the reason why it
was not restored. Without the inputs `patches` and `restored` no face counts as restored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from nodes.geometry.alignment import pitch_deg, roll_deg, yaw_deg
from nodes.join import PARQUET, TRACKS, SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.rows.part import TextPart
from nodes.tracks.rows import TRACKS_NAME, TrackRow, merge_tracks, write_parquet
from nodes.types import Face, FrameFaces, FramePatches, FrameRestored, VideoInfo

__all__ = ["Tracks", "TracksConfig"]


class TracksConfig(NodeConfig):
    """Output formats besides JSON Lines."""

    parquet: bool = Field(default=True)
    """Also write the rows as Parquet, if pyarrow 20 or newer is installed (extra `parquet`)."""


class Tracks(SinkNode[TracksConfig]):
    """Writes a row for each face in each frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.tracks",
        summary="write where every face was in every frame and what was done to it",
        inputs=(
            Port("faces", FrameFaces),
            Port("patches", FramePatches, optional=True),
            Port("restored", FrameRestored, optional=True),
        ),
    )
    Config: ClassVar[type[NodeConfig]] = TracksConfig
    endings: ClassVar[tuple[str, ...]] = (TRACKS, PARQUET)

    def __init__(self, config: TracksConfig) -> None:
        super().__init__(config)
        self._part = TextPart()
        self._seconds_per_tick = 1.0
        self._stretch = (1.0, 1.0)
        self._frames = 0
        self._rows = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start an empty file."""
        info = inputs["faces"]
        self._seconds_per_tick = float(info.time_base)
        self._stretch = info.stretch
        self._part.open(segment.work_dir / TRACKS_NAME)
        self._frames = self._rows = 0
        return info

    def process(self, inputs: Inputs) -> None:
        """Write the rows of a frame."""
        file = self._part.opened("Tracks")
        for row in self._rows_of(inputs):
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
            self._rows += 1
        self._frames += 1

    def finish(self) -> None:
        """Complete the file; without faces it is empty."""
        self._part.finish()

    def close(self) -> None:
        """Remove an unfinished file."""
        self._part.close()

    def report(self) -> dict[str, Any]:
        """Return the number of frames and rows."""
        return {"frames": self._frames, "rows": self._rows}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Join the rows of all segments; without rows no file is written.

        Raises:
            OSError: a file cannot be read or written.
        """
        assert isinstance(config, TracksConfig)  # noqa: S101 - for the type checker
        rows, parquet = folder / TRACKS_NAME, folder / "tracks.parquet"
        if not merge_tracks(parts, rows):
            return {}
        if config.parquet and write_parquet(rows, parquet):
            return {TRACKS: rows, PARQUET: parquet}
        return {TRACKS: rows}

    def _rows_of(self, inputs: Inputs) -> list[TrackRow]:
        packet = inputs.find("patches", FramePatches) or FramePatches(inputs.pts, ())
        patches = {patch.track_id: patch for patch in packet.patches}
        gates = {gated.track_id: gated.reason for gated in packet.gated}
        done_here = inputs.find("restored", FrameRestored) or FrameRestored(inputs.pts)
        restored = {p.track_id: p for p in done_here.patches}
        rows: list[TrackRow] = []
        for face in inputs.get("faces", FrameFaces).faces:
            patch, done = patches.get(face.track_id), restored.get(face.track_id)
            rows.append(
                self._row(face, inputs.pts)
                | {
                    "gate": gates.get(face.track_id),
                    "patch_px": patch.size_px if patch else None,
                    "blur_px": round(patch.blur_px, 2) if patch else None,
                    "strength": round(done.strength, 3) if done else None,
                    "consistency_db": (
                        round(done.consistency_db, 2)
                        if done and done.consistency_db is not None
                        else None
                    ),
                }
            )
        return rows

    def _row(self, face: Face, pts: int) -> TrackRow:
        square = face.stretched(*self._stretch)
        return {
            "frame": self._frames,
            "pts": pts,
            "time_s": round(pts * self._seconds_per_tick, 6),
            "track_id": face.track_id,
            "box_xyxy_px": [round(side, 2) for side in face.box_xyxy_px],
            "points_px": [[round(float(x), 2), round(float(y), 2)] for x, y in face.points_px],
            "eye_distance_px": round(square.eye_distance_px, 2),
            "score": round(face.score, 4),
            "yaw_deg": round(yaw_deg(square.points_px), 1),
            "pitch_deg": round(pitch_deg(square.points_px), 1),
            "roll_deg": round(roll_deg(square.points_px), 1),
        }
