"""Decoding a part of a video says nothing of pictures that belong to another part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from nodes.decode import Decode
from tests.support.decoding import keyframe_times
from tests.support.media import QUIET_X265, Video, corrupt_packets, make_video
from tests.support.transport import VIDEO, rewrite_times
from tests.support.video_nodes import decode

OPEN_HEVC = Video(
    codec="libx265",
    frames=40,
    options={"x265-params": f"{QUIET_X265}:keyint=10:min-keyint=10:bframes=3:open-gop=1"},
)
OPEN_MPEG2 = Video(codec="mpeg2video", frames=40, b_frames=2, gop_frames=10)


def in_parts(path: Path, bounds: Sequence[int | None], threads: int = 1) -> dict[str, Any]:
    """Return the report of a video that was decoded in parts."""
    ends = zip([None, *bounds], [*bounds, None], strict=True)
    reports = [
        decode(path, threads=threads, start_pts=start, end_pts=end)[2] for start, end in ends
    ]
    return Decode.merge_reports(reports)


@pytest.mark.parametrize(
    ("name", "video"),
    [("v.mp4", OPEN_HEVC), ("v.mkv", OPEN_HEVC), ("v.mp4", OPEN_MPEG2), ("v.ts", OPEN_MPEG2)],
)
def test_leading_pictures_of_an_open_gop_belong_to_the_part_before(
    tmp_path: Path, name: str, video: Video
) -> None:
    path = make_video(tmp_path / name, video)
    keys = keyframe_times(path)[1:]
    assert len(keys) >= 2
    merged = in_parts(path, keys)
    assert (merged["frames"], merged["lost"], merged["warnings"]) == (40, 0, [])


def test_pictures_before_the_wanted_part_are_no_damage(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", OPEN_HEVC)
    report = decode(path, from_s=0.81, to_s=1.21)[2]
    assert report["frames"] == 10
    assert (report["lost"], report["damage"]["count"], report["warnings"]) == (0, 0, [])


@pytest.mark.parametrize("damaged", [20, 28])
def test_damage_is_counted_once_where_parts_meet(tmp_path: Path, damaged: int) -> None:
    video = Video(codec="mpeg2video", frames=40, gop_frames=10)
    path = make_video(tmp_path / "v.mkv", video)
    keys = keyframe_times(path)[1:]
    corrupt_packets(path, [damaged])  # 20 is a keyframe, which the part before it reads, too
    whole, merged = decode(path)[2], in_parts(path, keys)
    assert whole["lost"] == 1
    assert (merged["lost"], merged["damage"]["count"]) == (1, whole["damage"]["count"])


@pytest.mark.parametrize("damaged", [20, 28, 29])
def test_damage_that_is_told_late_is_not_lost(tmp_path: Path, damaged: int) -> None:
    path = make_video(tmp_path / "v.mkv", Video(codec="ffv1", frames=40, gop_frames=10))
    keys = keyframe_times(path)[1:]
    corrupt_packets(path, [damaged])
    whole, merged = decode(path, threads=4)[2], in_parts(path, keys, threads=4)
    assert whole["damage"]["count"]
    assert merged["damage"]["count"] >= whole["damage"]["count"]


def test_damage_after_a_restart_of_the_clock_is_counted(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.ts", Video(codec="mpeg2video", frames=60, gop_frames=10))
    rewrite_times(path, VIDEO, lambda at, time: time - 108_000 * (at >= 30))
    content = bytearray(path.read_bytes())
    *_, damaged = islice(re.finditer(b"\0\0\1\0", content), 36)  # headers of pictures
    content[damaged.end() : damaged.end() + 50] = b"\xff" * 50
    path.write_bytes(content)
    for from_s in (None, 0.3):
        report = decode(path, from_s=from_s)[2]
        assert len(report["restarts"]) == 1
        assert (report["lost"], report["damage"]["count"]) == (1, 1)
