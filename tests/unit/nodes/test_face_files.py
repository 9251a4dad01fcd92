"""`aminet.face_video` and `aminet.write_patches`: files of single faces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from nodes.face_video import FaceVideo, FaceVideoConfig
from nodes.geometry.alignment import apply, template_points
from nodes.join import SegmentPart
from nodes.node import Inputs, SinkNode
from nodes.testing import check_node
from nodes.types import Face, Frame, FrameFaces
from nodes.write_patches import WritePatches, WritePatchesConfig
from tests.support.faces import face_at, frame_of, info_of, portrait, scene, segment_in

PATH = [(80 + 4 * index, 60 + 2 * index) for index in range(6)]
"""Where the eyes' middle is, frame by frame."""


def shots(pix_fmt: str = "yuv420p") -> list[tuple[Frame, Face]]:
    return [
        (
            frame_of(scene(256, 192, (portrait(96), x - 48, y - 39)), index, pix_fmt),
            face_at(x, y, 24),
        )
        for index, (x, y) in enumerate(PATH)
    ]


def written(node: SinkNode[Any], folder: Path, given: list[tuple[Frame, tuple[Face, ...]]]) -> Any:
    folder.mkdir()
    info = info_of(given[0][0])
    node.open(segment_in(folder), {"frames": info, "faces": info})
    for frame, faces in given:
        node.process(Inputs({"frames": frame, "faces": FrameFaces(frame.pts, faces)}))
    node.finish()
    node.close()
    return node.report()


def pictures(path: Path) -> list[tuple[float, np.ndarray[Any, Any]]]:
    with av.open(path) as container:
        frames = container.decode(video=0)
        return [(f.time or 0.0, f.to_ndarray(format="rgb24").astype(float)) for f in frames]


@pytest.mark.parametrize("node_class", [FaceVideo, WritePatches])
def test_they_keep_the_contract(node_class: type[SinkNode[Any]]) -> None:
    check_node(node_class)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_a_face_that_moves_stays_in_place_in_its_video(tmp_path: Path, pix_fmt: str) -> None:
    node = FaceVideo(FaceVideoConfig(size_px=128, margin=0.3))
    report = written(node, tmp_path / "a", [(frame, (face,)) for frame, face in shots(pix_fmt)])
    part = SegmentPart(tmp_path / "a", len(PATH), {}, report)
    made = FaceVideo.join([part], tmp_path, FaceVideoConfig())
    assert made == {".face_videos/0001.mp4": tmp_path / "0001.mp4"}
    seen = pictures(tmp_path / "0001.mp4")
    assert [time for time, _ in seen] == pytest.approx([index / 25 for index in range(len(PATH))])
    middle = [picture[32:96, 32:96] for _, picture in seen]
    assert middle[0].std() > 20
    assert max(np.abs(one - middle[0]).mean() for one in middle) < 4
    unmoved = shots(pix_fmt)[-1][0].rgb().astype(float) / (4 if pix_fmt.endswith("10le") else 1)
    assert np.abs(unmoved[28:92, 48:112] - middle[0]).mean() > 15


def test_parts_of_a_cut_video_are_joined_with_the_videos_numbers_and_times(tmp_path: Path) -> None:
    given = [(frame, (face,)) for frame, face in shots()]
    whole = written(FaceVideo(FaceVideoConfig()), tmp_path / "whole", given)
    first = written(FaceVideo(FaceVideoConfig()), tmp_path / "one", given[:3])
    rest = [(frame, (replace(face, track_id=2),)) for frame, (face,) in given[3:]]
    second = written(FaceVideo(FaceVideoConfig()), tmp_path / "two", rest)
    for name in ("uncut", "cut"):
        (tmp_path / name).mkdir()
    uncut = SegmentPart(tmp_path / "whole", 6, {1: 7}, whole)
    FaceVideo.join([uncut], tmp_path / "uncut", FaceVideoConfig())
    parts = [
        SegmentPart(tmp_path / "one", 3, {1: 7}, first),
        SegmentPart(tmp_path / "two", 3, {2: 7}, second),
    ]
    made = FaceVideo.join(parts, tmp_path / "cut", FaceVideoConfig())
    assert [*made] == [".face_videos/0007.mp4"]
    one, other = (pictures(tmp_path / name / "0007.mp4") for name in ("uncut", "cut"))
    assert [time for time, _ in one] == [time for time, _ in other]
    assert max(np.abs(a - b).mean() for (_, a), (_, b) in zip(one, other, strict=True)) < 3


def test_a_face_that_is_away_for_long_goes_on_in_the_same_video(tmp_path: Path) -> None:
    (early, face), *_ = shots()
    late = replace(early, pts=200)
    given = [(early, (face,)), (replace(early, pts=120), ()), (late, (face,))]
    report = written(FaceVideo(FaceVideoConfig()), tmp_path / "a", given)
    assert len(report["clips"]) == 2
    FaceVideo.join([SegmentPart(tmp_path / "a", 3, {}, report)], tmp_path, FaceVideoConfig())
    assert [time for time, _ in pictures(tmp_path / "0001.mp4")] == [0, 8]
    assert FaceVideo.merge_reports([report, report]) == {"pictures": 4}


def test_patches_are_aligned_and_say_where_they_are_from(tmp_path: Path) -> None:
    report = written(
        WritePatches(WritePatchesConfig(size_px=128)),
        tmp_path / "a",
        [(frame, (face,)) for frame, face in shots()],
    )
    part = SegmentPart(tmp_path / "a", len(PATH), {1: 3}, report)
    made = WritePatches.join([part], tmp_path, WritePatchesConfig())
    rows = [json.loads(line) for line in made[".patches/index.jsonl"].read_text().splitlines()]
    assert [row["file"] for row in rows] == [f"0003-{index}.png" for index in range(len(PATH))]
    for row, (x, y) in zip(rows, PATH, strict=True):
        eyes = apply(np.array(row["frame_from_patch"]), template_points(128)[:2])
        assert eyes == pytest.approx(np.array([(x - 12, y), (x + 12, y)]), abs=0.5)
    images = [np.asarray(Image.open(made[f".patches/{row['file']}"]), float) for row in rows]
    assert images[0].shape == (128, 128, 3)
    assert max(np.abs(image - images[0]).mean() for image in images) < 4


def test_ten_bit_patches_have_sixteen(tmp_path: Path) -> None:
    ((frame, face), *_) = shots("yuv420p10le")
    written(WritePatches(WritePatchesConfig()), tmp_path / "a", [(frame, (face,))])
    data = (tmp_path / "a" / "0001-0.png").read_bytes()
    assert data[24] == 16  # the bit depth in PNG's header


def test_one_picture_a_period_also_where_a_segment_begins_in_it(tmp_path: Path) -> None:
    config = WritePatchesConfig(every_s=0.12)  # three frames of 25 a second
    given = [(frame, (face,)) for frame, face in shots()]
    parts = [
        SegmentPart(folder, 0, {}, written(WritePatches(config), folder, some))
        for folder, some in ((tmp_path / "one", given[:2]), (tmp_path / "two", given[2:]))
    ]
    made = WritePatches.join(parts, tmp_path, config)
    assert sorted(made) == [".patches/0001-0.png", ".patches/0001-3.png", ".patches/index.jsonl"]


@pytest.mark.parametrize("node_class", [FaceVideo, WritePatches])
def test_unconfirmed_faces_and_faces_outside_leave_nothing(
    node_class: type[SinkNode[Any]], tmp_path: Path
) -> None:
    ((frame, face), *_) = shots()
    away = face_at(2000, 2000, 24, track_id=2)
    node = node_class(node_class.Config())
    report = written(node, tmp_path / "a", [(frame, (replace(face, track_id=0), away))])
    assert not any(path.stat().st_size for path in (tmp_path / "a").iterdir())
    part = SegmentPart(tmp_path / "a", 1, {}, report)
    assert node_class.join([part], tmp_path, node.config) == {}
