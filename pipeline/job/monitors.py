"""Showing the progress of a run: bars on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
)
from rich.progress import Progress as RichProgress

from nodes.reports import counted
from pipeline.job.files import VideoFiles
from pipeline.job.progress import Expected, RunProgress
from pipeline.job.report import VideoReport, summary_lines
from pipeline.run.contract import Progress
from pipeline.terminal import printable

__all__ = [
    "BarMonitor",
    "FailureMonitor",
    "LineMonitor",
    "Monitor",
    "SilentMonitor",
    "monitor_for",
]

LINE_EVERY_S: Final = 5.0


class Monitor(Protocol):
    """Receives the events of a run."""

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        """The run has started, with what is known of each video."""
        ...

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """A video has made progress."""
        ...

    def restarted(self, count: int) -> None:
        """This many workers were lost and replaced so far."""
        ...

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """A video is done or has failed."""
        ...

    def noted(self, text: str) -> None:
        """Another message, in one line."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class SilentMonitor:
    """Shows nothing; the default of the Python interface."""

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        """See `Monitor`."""

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`."""

    def restarted(self, count: int) -> None:
        """See `Monitor`."""

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""

    def noted(self, text: str) -> None:
        """See `Monitor`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        del error


class FailureMonitor(SilentMonitor):
    """Writes a line for each video that failed, and nothing else."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""
        if report.status == "failed":
            for line in summary_lines(video.source, report):
                self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


class LineMonitor(SilentMonitor):
    """Writes lines from time to time, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = 0.0
        self._run_progress = RunProgress({})
        self._moved: set[VideoFiles] = set()

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        """See `Monitor`."""
        self._last = time.monotonic()
        self._run_progress = RunProgress(videos)
        self.noted(f"{counted(len(videos), 'video')}, {runner} runner ({why})")

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`."""
        self._run_progress.advance(video, progress)
        self._moved.add(video)
        if time.monotonic() - self._last < LINE_EVERY_S:
            return
        self._last = time.monotonic()
        for moved in sorted(self._moved, key=lambda video: video.source):
            self.noted(f"{moved.source}: {self._run_progress.of(moved)}")
        total = f"/{self._run_progress.total}" if self._run_progress.total else ""
        self.noted(f"in all: frame {self._run_progress.frames}{total}, {self._run_progress.rates}")
        self._moved.clear()

    def restarted(self, count: int) -> None:
        """See `Monitor`."""
        self._run_progress.restarts = count

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""
        self._moved.discard(video)
        for line in summary_lines(video.source, report):
            self.noted(line)

    def noted(self, text: str) -> None:
        """See `Monitor`."""
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class BarMonitor(SilentMonitor):
    """Draws a bar for the run, with speed and remaining time, and one for each active video."""

    def __init__(self, console: Console) -> None:
        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=console,
        )
        self._run_progress = RunProgress({})
        self._tasks: dict[VideoFiles, TaskID] = {}
        self._overall: TaskID | None = None

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        """See `Monitor`."""
        self._bars.log(f"{counted(len(videos), 'video')}, {runner} runner ({why})")
        self._run_progress = RunProgress(videos)
        self._overall = self._bars.add_task("in all", total=self._run_progress.total, told="")
        for video, expected in videos.items():
            self._tasks[video] = self._bars.add_task(
                printable(video.target.name), total=expected.frames, told="", visible=False
            )

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`."""
        self._run_progress.advance(video, progress)
        self._bars.update(
            self._tasks[video],
            completed=progress.frames,
            told=self._run_progress.of(video),
            visible=True,
        )
        if self._overall is not None:
            self._bars.update(
                self._overall, completed=self._run_progress.frames, told=self._run_progress.rates
            )

    def restarted(self, count: int) -> None:
        """See `Monitor`."""
        self._run_progress.restarts = count

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""
        if video in self._tasks:
            self._bars.update(self._tasks[video], visible=False)
        for line in summary_lines(video.source, report):
            self.noted(line)

    def noted(self, text: str) -> None:
        """See `Monitor`."""
        self._bars.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        del error
        self._bars.stop()


def monitor_for(console: Console) -> Monitor:
    """Return a `BarMonitor` for a terminal, else a `LineMonitor`."""
    return BarMonitor(console) if console.is_terminal else LineMonitor(console)
