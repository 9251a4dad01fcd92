"""Planned cuts on made videos: whichever keyframes a video is cut at, decoding is frame-exact."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from nodes.types import Frame
from pipeline.containers.probe import scan_packets
from pipeline.segments.plan import plan_segments
from tests.support.cut_videos import VIDEOS, drop_times
from tests.support.media import Video, make_video
from tests.support.video_nodes import decode, same_pixels


def cut(path: Path, cuts: Sequence[int], warmup_ticks: int = 0) -> list[Frame]:
    return [
        frame
        for start, end in pairwise([None, *cuts, None])
        for frame in decode(
            path, start_pts=start, end_pts=end, warmup_pts=start and start - warmup_ticks
        )[1]
        if start is None or frame.pts >= start
    ]


@pytest.mark.parametrize("name", VIDEOS)
def test_any_cut_at_keyframes_gives_each_frame_once_and_unchanged(
    tmp_path: Path, name: str
) -> None:
    path = make_video(tmp_path / name, VIDEOS[name])
    scan = scan_packets(str(path))
    _, whole, _ = decode(path)
    every = [pts for pts in scan.keyframe_pts if pts > scan.shown_pts[0]][:8]
    assert every, "nothing to cut at"
    for cuts in (every, every[::2], every[1::2], every[-1:]):
        for warmup_ticks in (0, int(Fraction(3, 10) / scan.time_base)):
            parts = cut(path, cuts, warmup_ticks)
            assert [frame.pts for frame in parts] == [frame.pts for frame in whole]
            assert same_pixels((f.picture for f in parts), (f.picture for f in whole))


@pytest.mark.parametrize("name", ["open_gop.ts", "variable.mp4"])
def test_every_combination_of_cuts_gives_each_frame_once(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / name, VIDEOS[name])
    scan = scan_packets(str(path))
    _, whole, _ = decode(path)
    keys = [pts for pts in scan.keyframe_pts if pts > scan.shown_pts[0]]
    assert len(keys) >= 4
    for count in range(1, len(keys) + 1):
        for cuts in combinations(keys, count):
            assert [frame.pts for frame in cut(path, cuts)] == [frame.pts for frame in whole]


@pytest.mark.parametrize("name", VIDEOS)
def test_regular_videos_are_cut_by_plan_and_counted_right(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / name, VIDEOS[name])
    plan = plan_segments(scan_packets(str(path)), segment_s=0.5, warmup_s=0.2)
    assert plan.why_whole is None
    assert len(plan.intervals) > 1
    for interval in plan.intervals:
        _, frames, report = decode(
            path,
            start_pts=interval.start_pts,
            end_pts=interval.end_pts,
            warmup_pts=interval.warmup_pts,
        )
        assert report["frames"] == interval.frames
        assert len(frames) == report["frames"] + report["warmup_frames"]


@pytest.mark.parametrize(
    ("name", "codec"), [("v.avi", "mpeg4"), ("v.h264", "libx264"), ("v.mpg", "mpeg2video")]
)
def test_what_has_no_firm_times_is_not_cut(tmp_path: Path, name: str, codec: str) -> None:
    path = make_video(tmp_path / name, Video(codec=codec, frames=60, gop_frames=10))
    plan = plan_segments(scan_packets(str(path)), segment_s=0.5, warmup_s=0)
    assert plan.why_whole is not None
    assert len(plan.intervals) == 1


def test_a_stream_whose_frames_lack_times_is_not_cut_and_says_why(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.ts", VIDEOS["closed.ts"])
    drop_times(path, every=4)
    scan = scan_packets(str(path))
    assert (scan.frames, scan.missing_pts > 0) == (60, True)
    plan = plan_segments(scan, segment_s=0.5, warmup_s=0)
    assert len(plan.intervals) == 1
    assert f"{scan.missing_pts} frames without a time" in (plan.why_whole or "")
    _, frames, _ = decode(path)
    assert len(frames) == 60
    times = [frame.pts for frame in frames]
    assert times == sorted(set(times))
