"""Telling a person how a run comes along: bars on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import time
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from pipeline.inputs import VideoFiles
from pipeline.report import VideoReport
from pipeline.runner import Progress

__all__ = ["BarMonitor", "LineMonitor", "Monitor", "SilentMonitor", "monitor_for"]

LINE_EVERY_S: Final = 5.0


class Monitor(Protocol):
    """Is told what happens in a run."""

    def began(self, videos: dict[VideoFiles, int | None], runner: str, why: str) -> None:
        """The run starts. `videos` gives each one's number of frames as far as it is known."""
        ...

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """A video has come this far."""
        ...

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """A video is done or has failed."""
        ...

    def noted(self, text: str) -> None:
        """There is something else to know, in one line."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class SilentMonitor:
    """Tells nothing: for the Python interface."""

    def began(self, videos: dict[VideoFiles, int | None], runner: str, why: str) -> None:
        """See `Monitor`."""

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`."""

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""

    def noted(self, text: str) -> None:
        """See `Monitor`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        del error


class LineMonitor(SilentMonitor):
    """Writes a line now and then: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = 0.0
        self._last = 0.0
        self._frames: dict[VideoFiles, int | None] = {}

    def began(self, videos: dict[VideoFiles, int | None], runner: str, why: str) -> None:
        """See `Monitor`."""
        self._started = self._last = time.monotonic()
        self._frames = videos
        self._console.print(f"{len(videos)} video(s), {runner} runner ({why})", highlight=False)

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`."""
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S:
            return
        self._last = now
        total = self._frames.get(video)
        of = f"/{total}" if total else ""
        self._console.print(
            f"{video.source}: frame {progress.frames}{of}, {progress.items} faces,"
            f" {progress.frames / (now - self._started):.1f} frames/s",
            highlight=False,
        )

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""
        self._console.print(_summary(video, report), highlight=False, soft_wrap=True)

    def noted(self, text: str) -> None:
        """See `Monitor`."""
        self._console.print(text, highlight=False, soft_wrap=True)


class BarMonitor(SilentMonitor):
    """Draws a bar a video, with frames and faces a second and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[VideoFiles, TaskID] = {}
        self._started: dict[VideoFiles, float] = {}
        self._overall: TaskID | None = None

    def began(self, videos: dict[VideoFiles, int | None], runner: str, why: str) -> None:
        """See `Monitor`."""
        self._bars.log(f"{len(videos)} video(s), {runner} runner ({why})")
        if len(videos) > 1:
            self._overall = self._bars.add_task("all videos", total=len(videos), rates="")
        for video, frames in videos.items():
            self._tasks[video] = self._bars.add_task(
                video.target.name, total=frames, rates="", visible=False
            )

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`."""
        took = time.monotonic() - self._started.setdefault(video, time.monotonic())
        rates = (
            f"{progress.frames / took:.1f} frames/s, {progress.items / took:.1f} faces/s"
            if took > 1
            else ""
        )
        self._bars.update(self._tasks[video], completed=progress.frames, rates=rates, visible=True)

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""
        self._bars.update(self._tasks[video], visible=False)
        if self._overall is not None:
            self._bars.advance(self._overall)
        self._bars.print(_summary(video, report), highlight=False, soft_wrap=True)

    def noted(self, text: str) -> None:
        """See `Monitor`."""
        self._bars.print(text, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        del error
        self._bars.stop()


def monitor_for(console: Console) -> Monitor:
    """Return bars for a terminal, lines for anything else."""
    return BarMonitor(console) if console.is_terminal else LineMonitor(console)


def _summary(video: VideoFiles, report: VideoReport) -> str:
    if report.status == "failed":
        return f"{video.source}: FAILED: {report.error}"
    faces = (
        f"{report.tracks} faces followed, {report.faces} patches restored"
        if report.tracks
        else "no face found, pictures unchanged"
    )
    done = (
        f"{video.source} -> {report.output}: {report.frames} frames, {faces},"
        f" {report.frames_per_s:.1f} frames/s"
    )
    return "\n".join([done, *(f"  note: {note}" for note in report.notes)])
