"""Whole runs over videos that are easily cut wrong: the same frames and times as in one piece."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.job.report import VideoReport
from tests.support.cut_videos import VIDEOS, drop_times
from tests.support.media import decode_all, make_video
from tests.support.video_nodes import same_pixels

pytestmark = pytest.mark.filterwarnings("default")

GRAPH = """
name: copy
nodes:
  decode: {type: aminet.decode}
  encode: {type: aminet.encode, inputs: {frames: decode.frames}, config: {codec: ffv1}}
"""


def run(source: Path, target: Path, segment_s: float) -> VideoReport:
    graph, config = target.with_suffix(".graph.yaml"), target.with_suffix(".run.yaml")
    graph.write_text(GRAPH, encoding="utf-8")
    config.write_text(f"graph: {graph}\n", encoding="utf-8")
    settings = (f"run.segment_s={segment_s}", "run.runner=local", "run.threads=1")
    (video,) = pipeline.enhance(source, target, config=config, settings=settings).videos
    return video


@pytest.mark.parametrize("name", VIDEOS)
def test_joined_segments_are_what_one_segment_is(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, VIDEOS[name])
    whole = run(source, tmp_path / "whole.mkv", 0)
    cut = run(source, tmp_path / "cut.mkv", 0.5)
    assert (whole.segments, cut.segments > 1) == (1, True)
    one, other = decode_all(tmp_path / "whole.mkv"), decode_all(tmp_path / "cut.mkv")
    assert [frame.time for frame in one] == [frame.time for frame in other]
    assert same_pixels(one, other)
    assert same_pixels(other, decode_all(source))


def test_a_stream_whose_frames_lack_times_loses_none(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.ts", VIDEOS["closed.ts"])
    drop_times(source, every=4)
    report = run(source, tmp_path / "out.mkv", 0.5)
    assert report.segments == 1
    assert "frames without a time" in (report.why_whole or "")
    assert len(decode_all(tmp_path / "out.mkv")) == 60
