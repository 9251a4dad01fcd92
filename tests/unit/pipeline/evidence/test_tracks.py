"""What was altered of each face, summed up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nodes.evidence.rows import row_text
from nodes.types import FaceChange, FrameChanges
from pipeline.evidence.tracks import TrackRecord, track_records

ONE = FaceChange(1, (8, 8, 40, 40), 0.5, 100, 12, 2.0, 41.0)
MOVED = replace(ONE, region_xyxy_px=(20, 4, 60, 36), area_px=300, largest=9, mean=4.0)
OTHER = replace(ONE, track_id=2, consistency_db=None, area_px=0, mean=0.0, largest=0)


def test_each_face_has_its_sums(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    faces = [(ONE, OTHER), (), (replace(MOVED, strength=1.0, consistency_db=30.0),)]
    rows.write_text(
        "".join(row_text("a", "b", FrameChanges(pts, seen)) for pts, seen in enumerate(faces)),
        encoding="utf-8",
    )
    one, other = track_records(rows, 0.25)
    assert one == TrackRecord(
        track_id=1,
        frames=2,
        first_s=0.0,
        last_s=0.5,
        within_xyxy_px=(8, 4, 60, 40),
        area_px=200,
        strength=0.75,
        largest=12,
        mean=3.5,
        consistency_db=35.5,
        least_consistency_db=30.0,
    )
    assert (other.track_id, other.frames, other.consistency_db) == (2, 1, None)
    assert (other.mean, other.area_px) == (0.0, 0)


def test_a_video_without_faces_has_none(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.write_text(row_text("a", "a", FrameChanges(0)), encoding="utf-8")
    assert track_records(rows, 1.0) == ()
