"""How a run comes along, for programs: a call back now and then, and a way to end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Self

from pipeline.job.files import VideoFiles
from pipeline.job.monitors import Monitor
from pipeline.job.progress import Expected
from pipeline.job.report import VideoReport
from pipeline.run.contract import Progress

__all__ = ["CallingMonitor", "Cancelled"]


class Cancelled(KeyboardInterrupt):
    """The caller asked the run to end."""


class CallingMonitor:
    """Tells another monitor, and a function; ends the run once an event is set."""

    def __init__(
        self,
        monitor: Monitor,
        on_progress: Callable[[str, Progress], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        self._monitor, self._on_progress, self._cancel = monitor, on_progress, cancel
        self.kept = ""
        """What was said last, which of a run that ends early is what is kept of it."""

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        """See `Monitor`."""
        self._monitor.began(videos, runner, why)

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        """See `Monitor`.

        Raises:
            Cancelled: the run shall end.
        """
        self._monitor.advanced(video, progress)
        if self._on_progress is not None:
            self._on_progress(video.source, progress)
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def restarted(self, count: int) -> None:
        """See `Monitor`."""
        self._monitor.restarted(count)

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        """See `Monitor`."""
        self._monitor.ended(video, report)

    def noted(self, text: str) -> None:
        """See `Monitor`."""
        self.kept = text
        self._monitor.noted(text)

    def __enter__(self) -> Self:
        self._monitor.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._monitor.__exit__(*error)
