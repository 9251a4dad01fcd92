"""Cutting a video into segments, as sentences."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.containers.probe import PacketScan
from pipeline.segments.plan import plan_segments

REGULAR = PacketScan(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    time_base=Fraction(1, 25),
    frames=1000,
    keyframes=20,
    shown_pts=range(1000),
    keyframe_pts=range(0, 1000, 50),
    missing_pts=0,
    backward_dts=0,
    damaged_packets=0,
    ended_in_error=False,
    digest="",
)


def cuts_of(scan: PacketScan, segment_s: float) -> list[int | None]:
    plan = plan_segments(scan, segment_s=segment_s, warmup_s=1.0)
    return [interval.start_pts for interval in plan.intervals]


def test_a_video_is_cut_at_the_keyframes_nearest_to_even_lengths() -> None:
    assert cuts_of(REGULAR, 10) == [None, 250, 500, 750]
    assert cuts_of(REGULAR, 13) == [None, 350, 650]


def test_a_video_hardly_longer_than_a_segment_stays_whole_and_says_why() -> None:
    plan = plan_segments(REGULAR, segment_s=27, warmup_s=0)
    assert len(plan.intervals) == 1
    assert plan.why_whole == "it is shorter than 40.5 s"
    assert cuts_of(REGULAR, 25) == [None, 500]


@pytest.mark.parametrize(
    ("minutes", "segments", "longest_s"),
    [(0.4, 1, 24), (1, 3, 20), (5, 15, 20), (10, 20, 30), (20, 20, 60), (60, 60, 60)],
)
def test_segments_of_long_videos_are_longer(
    minutes: float, segments: int, longest_s: float
) -> None:
    frames = round(minutes * 60 * 25)
    keys = range(0, frames, 50)
    long = replace(REGULAR, frames=frames, shown_pts=range(frames), keyframe_pts=keys)
    intervals = plan_segments(long, segment_s=None, warmup_s=1.0).intervals
    assert len(intervals) == segments
    assert max(interval.frames or 0 for interval in intervals) == pytest.approx(
        25 * longest_s, abs=50
    )


def test_each_segment_but_the_first_is_warmed_up() -> None:
    plan = plan_segments(REGULAR, segment_s=10, warmup_s=1.0)
    assert [i.warmup_pts for i in plan.intervals] == [None, 225, 475, 725]
    assert [i.frames for i in plan.intervals] == [250] * 4
    plan = plan_segments(REGULAR, segment_s=10, warmup_s=0)
    assert {i.warmup_pts for i in plan.intervals} == {None}


@given(
    frames=st.integers(2, 400),
    keys=st.sets(st.integers(0, 400), max_size=20),
    segment_s=st.floats(0.04, 30),
)
def test_segments_touch_begin_at_keyframes_and_hold_every_frame_once(
    frames: int, keys: set[int], segment_s: float
) -> None:
    keyframes = sorted({0, *(key for key in keys if key < frames)})
    scan = replace(REGULAR, frames=frames, shown_pts=range(frames), keyframe_pts=keyframes)
    intervals = plan_segments(scan, segment_s=segment_s, warmup_s=1.0).intervals
    assert (intervals[0].start_pts, intervals[-1].end_pts) == (None, None)
    assert all(a.end_pts == b.start_pts for a, b in pairwise(intervals))
    starts = [i.start_pts for i in intervals[1:]]
    assert set(starts) <= set(keyframes)
    assert starts == sorted(set(starts), key=lambda pts: pts or 0)
    assert sum(i.frames or 0 for i in intervals) == frames
    assert all(i.frames for i in intervals)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"container": "avi"}, "stores no times"),
        ({"container": "h264"}, "stores no times"),
        ({"container": "webp_pipe"}, "stores no times"),
        ({"missing_pts": 3}, "3 frames without a time"),
        ({"shown_pts": [0, *range(999)]}, "1 frame with the time of another"),
        ({"backward_dts": 1}, "go back 1 time"),
        ({"damaged_packets": 2}, "2 damaged packets"),
        ({"ended_in_error": True}, "cannot be read to its end"),
        ({"keyframe_pts": [0]}, "no second keyframe"),
    ],
)
def test_an_irregular_video_stays_whole_and_says_why(change: dict[str, Any], reason: str) -> None:
    plan = plan_segments(replace(REGULAR, **change), segment_s=10, warmup_s=1.0)
    assert len(plan.intervals) == 1
    assert reason in (plan.why_whole or "")


def test_what_is_read_from_the_network_or_must_not_be_cut_stays_whole() -> None:
    assert "network" in (plan_segments(None, segment_s=10, warmup_s=0).why_whole or "")
    plan = plan_segments(REGULAR, segment_s=10, warmup_s=0, uncut="because")
    assert (len(plan.intervals), plan.why_whole) == (1, "because")
    assert plan_segments(REGULAR, segment_s=0, warmup_s=0).why_whole == "run.segment_s is 0"
