"""The sums that progress is told by, and how it reads."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.job import monitors as module
from pipeline.job.files import VideoFiles
from pipeline.job.monitors import BarMonitor, LineMonitor
from pipeline.job.progress import Expected, RunProgress, format_s
from pipeline.run.contract import Progress
from pipeline.storage.locations import location_of

ONE = VideoFiles("in/one.mp4", location_of(Path("out/one.mp4")), named=False)
OTHER = VideoFiles("in/other.mp4", location_of(Path("out/other.mp4")), named=False)
VIDEOS = {ONE: Expected(100, Progress(40, 80)), OTHER: Expected(100)}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_what_an_earlier_run_did_counts_as_done_but_not_as_speed() -> None:
    time = Clock()
    progress = RunProgress(VIDEOS, time)
    assert (progress.frames, progress.total, progress.left_s) == (40, 200, None)
    time.now_s = 10.0
    progress.advance(ONE, Progress(60, 120))
    progress.advance(OTHER, Progress(20, 10))
    assert (progress.frames, progress.frames_per_s, progress.faces_per_s) == (80, 4.0, 5.0)
    assert progress.left_s == 30.0
    assert progress.rates == "4.0 frames/s, 5.0 faces/s, 0:00:30 left"
    assert progress.of(ONE) == "frame 60/100, faces restored 120 times"


def test_without_a_number_of_frames_no_time_is_promised() -> None:
    time = Clock()
    progress = RunProgress({ONE: Expected(None)}, time)
    time.now_s = 2.0
    progress.advance(ONE, Progress(10, 0))
    assert (progress.total, progress.left_s) == (None, None)
    assert progress.rates == "5.0 frames/s, 0.0 faces/s"
    assert progress.of(ONE) == "frame 10, faces restored 0 times"


def test_lost_workers_are_told() -> None:
    progress = RunProgress(VIDEOS)
    progress.restarts = 2
    assert progress.rates.endswith("2 workers lost and replaced")


def test_times_read_as_a_clock() -> None:
    assert [format_s(s) for s in (0, 59.6, 3661)] == ["0:00:00", "0:01:00", "1:01:01"]


def test_lines_tell_of_each_video_and_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    text = io.StringIO()
    monitor = LineMonitor(Console(file=text, width=40))
    monitor.began(VIDEOS, "ray", "asked for")
    monitor.restarted(1)
    monitor.advanced(ONE, Progress(60, 120))
    monitor.noted("[bold] is no markup: [/x]")
    first, video, overall, noted = text.getvalue().splitlines()
    assert first == "2 videos, ray runner (asked for)"
    assert video == "in/one.mp4: frame 60/100, faces restored 120 times"
    assert overall.startswith("in all: frame 60/200, ")
    assert overall.endswith("1 worker lost and replaced")
    assert noted == "[bold] is no markup: [/x]"


def test_bars_show_all_and_each_video_under_way() -> None:
    text = io.StringIO()
    console = Console(file=text, width=160, force_terminal=True, color_system=None)
    with BarMonitor(console) as monitor:
        monitor.began(VIDEOS, "ray", "asked for")
        monitor.advanced(ONE, Progress(60, 120))
    overall, video = [line for line in text.getvalue().splitlines() if "frame" in line][-2:]
    assert "in all" in overall
    assert "faces/s" in overall
    assert "one.mp4" in video
    assert "frame 60/100, faces restored 120 times" in video
