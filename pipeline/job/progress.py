"""How far a whole run has come: the videos added up, rates and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.job.files import VideoFiles
from pipeline.run.contract import Progress

__all__ = ["Expected", "RunProgress", "format_s"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a video before its run."""

    frames: int | None = None
    """How many it has, None if unknown."""
    done: Progress = field(default_factory=Progress)
    """What an earlier run finished."""


class RunProgress:
    """Adds up the videos of a run. What an earlier run finished counts as done, not as speed."""

    def __init__(
        self, videos: Mapping[VideoFiles, Expected], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Start counting time.

        Args:
            videos: of the run.
            now: a clock, in seconds.
        """
        self._expected = videos
        self._now = now
        self._began_s = now()
        self._at = {video: expected.done for video, expected in videos.items()}
        self.restarts = 0
        """Workers that were lost and replaced so far."""

    def advance(self, video: VideoFiles, progress: Progress) -> None:
        """Note how far a video has come."""
        self._at[video] = progress

    @property
    def frames(self) -> int:
        """Frames that are done, of all videos."""
        return sum(progress.frames for progress in self._at.values())

    @property
    def total(self) -> int | None:
        """Frames of all videos, None if one's are unknown."""
        known = [expected.frames for expected in self._expected.values()]
        return None if None in known else sum(frames or 0 for frames in known)

    @property
    def frames_per_s(self) -> float:
        """Frames done by this run for each second of it."""
        done = sum(expected.done.frames for expected in self._expected.values())
        return (self.frames - done) / self._took_s

    @property
    def faces_per_s(self) -> float:
        """Faces handed to the network by this run for each second of it."""
        done = sum(expected.done.faces for expected in self._expected.values())
        return (sum(progress.faces for progress in self._at.values()) - done) / self._took_s

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at this speed, None if that is unknown."""
        if self.total is None or self.frames_per_s <= 0:
            return None
        return max(0, self.total - self.frames) / self.frames_per_s

    @property
    def rates(self) -> str:
        """Speed, time left and restarts, for people."""
        parts = [f"{self.frames_per_s:.1f} frames/s", f"{self.faces_per_s:.1f} faces/s"]
        if self.left_s is not None:
            parts.append(f"{format_s(self.left_s)} left")
        if self.restarts:
            parts.append(f"{self.restarts} workers lost and replaced")
        return ", ".join(parts)

    def of(self, video: VideoFiles) -> str:
        """Return how far one video has come, for people."""
        at, total = self._at[video], self._expected[video].frames
        return f"frame {at.frames}{f'/{total}' if total else ''}, {at.faces} faces"

    @property
    def _took_s(self) -> float:
        return max(self._now() - self._began_s, 1e-3)


def format_s(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
