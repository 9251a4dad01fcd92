"""`aminet plan` and `aminet enhance --dry-run`: one thing under two names."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import ConfigError
from tests.support.media import Video, make_video

BICUBIC = ("--set", "enhance.weights=bicubic")


def told(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, *BICUBIC], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_plan_tells_segments_placement_and_that_nothing_is_done(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=90, gop_frames=10))
    words = (str(source), "-o", str(tmp_path / "out.mkv"), "--set", "run.segment_s=0.7")
    more = ("--runner", "ray", "--set", "run.threads=8")
    assert told("plan", *words, *more).splitlines() == [
        f"{source} -> {tmp_path}/out.mkv: 90 frames in 5 segments",
        "  segments of 10 to 20 frames, cut at keyframes",
        "5 segments to do, ray runner (asked for)",
        "  this machine: segment workers 4 x 1 thread(s), enhancers 1 x 4 thread(s)",
        "how long that takes is not known before segments of it are finished",
    ]
    assert told("enhance", *words, *more, "--dry-run") == told("plan", *words, *more)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_part_of_a_video_is_planned_as_it_would_be_done(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=30))
    words = (str(source), "-o", str(tmp_path / "out.mkv"), "--from", "0.4")
    assert "  one segment: only a part of it is wanted" in told("plan", *words)


def test_a_stream_has_no_plan() -> None:
    with pytest.raises(ConfigError, match="a stream cannot be looked at first"):
        told("enhance", "-", "-o", "-", "--dry-run")
