"""Tracks: a row for every face of every frame, whatever became of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.join import SegmentPart
from nodes.node import Inputs
from nodes.tracks import Tracks, TracksConfig
from nodes.tracks.rows import TRACKS_NAME, merge_tracks, read_tracks, write_parquet
from nodes.types import (
    FacePatch,
    FrameFaces,
    FramePatches,
    FrameRestored,
    GatedFace,
    RestoredPatch,
)
from tests.support.faces import face_at, frame_of, info_of, scene, segment_in


def patch_of(track_id: int) -> FacePatch:
    rgb, to_crop = np.zeros((8, 8, 3), np.uint8), np.eye(2, 3)
    return FacePatch(track_id, rgb, 8, (0, 0, 8, 8), to_crop, 192, 1, blur_px=0.678)


def restored_of(track_id: int) -> RestoredPatch:
    residual = np.zeros((8, 8, 3), np.float16)
    return RestoredPatch(track_id, residual, (0, 0, 8, 8), strength=0.75, consistency_db=41.234)


def written(tmp_path: Path, *frames: tuple[int, FrameFaces, FramePatches]) -> list[dict[str, Any]]:
    """Run the node; patches are restored."""
    node = Tracks(TracksConfig())
    info = info_of(frame_of(scene(64, 48)))
    node.open(segment_in(tmp_path), dict.fromkeys(("faces", "patches", "restored"), info))
    for pts, faces, patches in frames:
        done = FrameRestored(pts, tuple(restored_of(p.track_id) for p in patches.patches))
        node.process(Inputs({"faces": faces, "patches": patches, "restored": done}))
    node.finish()
    node.close()
    return list(read_tracks(tmp_path / TRACKS_NAME))


def test_a_row_says_where_a_face_was_and_what_was_done(tmp_path: Path) -> None:
    face = face_at(300, 150, 20, track_id=3)
    faces, patches = FrameFaces(50, (face,)), FramePatches(50, (patch_of(3),))
    (row,) = written(tmp_path, (50, faces, patches))
    assert row == {
        "frame": 0,
        "pts": 50,
        "time_s": 2.0,
        "track_id": 3,
        "box_xyxy_px": pytest.approx(face.box_xyxy_px),
        "points_px": [[290, 150], [310, 150], [300, 162], [300, 172.2]],
        "eye_distance_px": 20.0,
        "score": 0.95,
        "yaw_deg": 0.0,
        "pitch_deg": pytest.approx(4.3, abs=0.1),
        "roll_deg": 0.0,
        "gate": None,
        "patch_px": 192,
        "blur_px": 0.68,
        "strength": 0.75,
        "consistency_db": 41.23,
    }


def test_faces_that_were_left_alone_have_rows_with_the_reason(tmp_path: Path) -> None:
    faces = FrameFaces(0, (face_at(9, 9, 4, track_id=1), face_at(60, 9, 9, track_id=0)))
    gates = (GatedFace(1, "too_small"), GatedFace(0, "unconfirmed"))
    rows = written(tmp_path, (0, faces, FramePatches(0, (), gates)))
    keys = "track_id", "gate", "patch_px", "blur_px", "strength"
    assert [tuple(row[key] for key in keys) for row in rows] == [
        (1, "too_small", None, None, None),
        (0, "unconfirmed", None, None, None),
    ]


def test_frames_without_faces_count(tmp_path: Path) -> None:
    seen = FrameFaces(7, (face_at(30, 30, 9),)), FramePatches(7, (patch_of(1),))
    rows = written(tmp_path, (3, FrameFaces(3, ()), FramePatches(3, ())), (7, *seen))
    assert [(row["frame"], row["pts"]) for row in rows] == [(1, 7)]


def test_segments_become_one_file_with_common_numbers(tmp_path: Path) -> None:
    parts: list[SegmentPart] = []
    for name, numbers, rows in (
        ("a", {1: 1, 2: 2}, [(0, 1), (0, 2), (3, 0)]),
        ("b", {1: 2, 2: 3}, [(0, 1), (1, 2), (1, 0)]),
    ):
        path = tmp_path / name / TRACKS_NAME
        path.parent.mkdir()
        lines = [json.dumps({"frame": frame, "track_id": track}) for frame, track in rows]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        parts.append(SegmentPart(path.parent, 10, numbers, {}))
    assert merge_tracks(parts, tmp_path / "all") == 6
    merged = [(row["frame"], row["track_id"]) for row in read_tracks(tmp_path / "all")]
    assert merged == [(0, 1), (0, 2), (3, 0), (10, 2), (11, 3), (11, 0)]


def test_parquet_holds_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    faces = FrameFaces(0, (face_at(99, 99, 20, track_id=1), face_at(60, 9, 9, track_id=2)))
    patches = FramePatches(0, (patch_of(1),), (GatedFace(2, "turned"),))
    rows = written(tmp_path, (0, faces, patches))
    assert write_parquet(tmp_path / TRACKS_NAME, tmp_path / "tracks.parquet")
    assert parquet.read_table(tmp_path / "tracks.parquet").to_pylist() == rows


def test_parquet_holds_the_rows_of_several_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("nodes.tracks.rows._BLOCK_BYTES", 2000)
    frames = [
        (
            pts,
            FrameFaces(pts, (face_at(99, 99, 20, track_id=1),)),
            FramePatches(pts, (patch_of(1),)),
        )
        for pts in range(40)
    ]
    rows = written(tmp_path, *frames)
    assert write_parquet(tmp_path / TRACKS_NAME, tmp_path / "tracks.parquet")
    table = parquet.read_table(tmp_path / "tracks.parquet")
    assert parquet.ParquetFile(tmp_path / "tracks.parquet").num_row_groups > 2
    assert table.to_pylist() == rows
    assert str(table.schema.field("points_px").type).count("fixed_size_list") == 2


def test_without_rows_there_is_no_parquet(tmp_path: Path) -> None:
    assert written(tmp_path, (0, FrameFaces(0, ()), FramePatches(0, ()))) == []
    assert not write_parquet(tmp_path / TRACKS_NAME, tmp_path / "tracks.parquet")
    assert not (tmp_path / "tracks.parquet").exists()


def test_with_a_pyarrow_that_is_too_old_there_is_no_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    json = pytest.importorskip("pyarrow.json")
    written(tmp_path, (0, FrameFaces(0, (face_at(9, 9, 4, track_id=1),)), FramePatches(0, ())))
    monkeypatch.delattr(json, "open_json")
    assert not write_parquet(tmp_path / TRACKS_NAME, tmp_path / "tracks.parquet")
    assert not (tmp_path / "tracks.parquet").exists()
