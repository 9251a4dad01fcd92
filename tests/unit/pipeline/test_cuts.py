"""Planned cuts on made videos: whichever keyframes a video is cut at, decoding is frame-exact."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from nodes.types import Frame
from pipeline.plan import plan_segments
from pipeline.probe import scan_packets
from tests.media_factory import Video, make_video
from tests.video_nodes import decode, same_pixels

OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
REFRESH = {"x264-params": "intra-refresh=1:scenecut=0"}
MILLISECONDS = Fraction(1, 1000)
VARIABLE = tuple(40 * n + 17 * (n % 3) + (2000 if n > 40 else 0) for n in range(60))

VIDEOS: dict[str, Video] = {
    "closed.mp4": Video(frames=60, gop_frames=10),
    "b_frames.mp4": Video(frames=60, gop_frames=10, b_frames=2),
    "open_gop.mp4": Video(frames=60, gop_frames=10, b_frames=3, options=OPEN_GOP),
    "open_gop.mkv": Video(frames=60, gop_frames=10, b_frames=3, options=OPEN_GOP),
    "open_gop.ts": Video(frames=60, gop_frames=10, b_frames=3, options=OPEN_GOP),
    "open_gop_hevc.mp4": Video(codec="libx265", frames=60, gop_frames=10, b_frames=3),
    "closed.ts": Video(frames=60, gop_frames=10, b_frames=2),
    "refresh.ts": Video(frames=60, gop_frames=10, options=REFRESH),
    "mpeg2.ts": Video(codec="mpeg2video", frames=60, gop_frames=10, b_frames=2),
    "variable.mp4": Video(pts=VARIABLE, time_base=MILLISECONDS, gop_frames=10, b_frames=2),
    "variable.mkv": Video(pts=VARIABLE, time_base=MILLISECONDS, gop_frames=10),
    "late.mkv": Video(pts=tuple(range(9000, 11400, 40)), time_base=MILLISECONDS, gop_frames=10),
    "vp9.webm": Video(codec="libvpx-vp9", frames=60, gop_frames=10),
    "av1.mkv": Video(codec="libsvtav1", frames=60, gop_frames=10),
    "intra.mov": Video(codec="prores_ks", pix_fmt="yuv422p10le", frames=30),
}


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
