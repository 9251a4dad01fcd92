"""What is decided of one video before it runs: its target, its cuts, its identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from upath import UPath

from nodes.encode import EncodeConfig
from nodes.errors import MediaError
from pipeline.config import RunOptions
from pipeline.containers.probe import scan_packets
from pipeline.errors import OutputError
from pipeline.graph.graph import Graph
from pipeline.job.files import VideoFiles
from pipeline.job.video_plan import VideoPlan, plan_video
from tests.support.jobs import THREE_SEGMENTS, copy_graph
from tests.support.media import AudioTrack, Video, make_video


def planned(
    source: Path,
    target: Path,
    *,
    graph: Graph | None = None,
    named: bool = True,
    threads: int = 1,
    segment_s: float = 0.4,
) -> VideoPlan:
    return plan_video(
        VideoFiles(str(source), UPath(target), named=named),
        graph or copy_graph(),
        threads=threads,
        options=RunOptions(segment_s=segment_s),
        contents={},
    )


def test_the_cuts_are_keyframes_and_count_every_frame(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    plan = planned(source, tmp_path / "out.mkv")
    starts = [interval.start_pts for interval in plan.segments.intervals]
    assert starts == [None, 400, 800]
    assert set(starts[1:]) <= set(scan_packets(str(source)).keyframe_pts)
    assert [interval.frames for interval in plan.segments.intervals] == [10, 10, 10]
    assert plan.frames == 30


def test_plan_and_identity_are_the_same_on_a_larger_machine(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    small, large = (planned(source, tmp_path / "out.mkv", threads=n) for n in (2, 64))
    assert (small.segments, small.identity, small.threads) == (large.segments, large.identity, 2)


def test_a_video_in_one_piece_uses_every_thread_and_depends_on_them(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    one, two = (planned(source, tmp_path / "o.mkv", threads=n, segment_s=0) for n in (1, 8))
    assert (one.threads, two.threads) == (1, 8)
    assert two.identity.changes_since(one.identity) == "the plan changed"


def test_identity_says_what_changed(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    target = tmp_path / "out.mkv"
    first = planned(source, target).identity
    assert planned(source, target).identity == first
    moved = planned(source.rename(tmp_path / "moved.mkv"), target).identity
    assert moved == first
    other = planned(tmp_path / "moved.mkv", target, graph=copy_graph(EncodeConfig(codec="x264")))
    assert other.identity.changes_since(first) == "the settings changed"
    make_video(source, replace(THREE_SEGMENTS, options={"qp": "40"}))
    assert planned(source, target).identity.changes_since(first) == "the input changed"


def test_a_target_that_cannot_hold_everything_is_refused_and_an_unnamed_one_is_changed(
    tmp_path: Path,
) -> None:
    source = make_video(tmp_path / "v.avi", Video(codec="mpeg4", audio=(AudioTrack("mp3"),)))
    target = tmp_path / "out" / "v.avi"
    plan = planned(source, target, named=False)
    assert plan.video.target == UPath(target).with_suffix(".mkv")
    assert len(plan.notes) == 1
    assert "avi" in plan.notes[0].lower()
    sound = make_video(tmp_path / "v.mkv", Video(audio=(AudioTrack("flac"),)))
    with pytest.raises(OutputError, match=r"out\.webm"):
        planned(sound, tmp_path / "out.webm")


def test_what_has_no_firm_times_is_one_piece_and_says_why(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.avi", Video(codec="mpeg4", frames=60, gop_frames=10))
    plan = planned(source, tmp_path / "out.mkv")
    assert (len(plan.segments.intervals), plan.segments.why_whole) == (1, "it stores no times")


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"v\.mp4"):
        planned(tmp_path / "v.mp4", tmp_path / "out.mkv")
    with pytest.raises(MediaError, match=r"none\.mp4"):
        planned(tmp_path / "none.mp4", tmp_path / "out.mkv")
