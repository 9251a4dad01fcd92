"""The progress of a whole run: sums over the videos, rates and the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nodes.reports import counted
from pipeline.job.files import VideoFiles
from pipeline.run.contract import Progress

__all__ = ["Expected", "RunProgress", "format_s"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a video before its run."""

    frames: int | None = None
    """Number of frames, None if unknown."""
    done: Progress = field(default_factory=Progress)
    """Progress of an earlier run."""


class RunProgress:
    """Sums the progress of the videos. Work of an earlier run counts as done, but not for rates."""

    def __init__(
        self, videos: Mapping[VideoFiles, Expected], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Start measuring time.

        Args:
            videos: what is known of each video.
            now: returns the time in seconds.
        """
        self._expected = videos
        self._now = now
        self._began_s = now()
        self._at = {video: expected.done for video, expected in videos.items()}
        self.restarts = 0
        """Workers that were lost and replaced so far."""

    def advance(self, video: VideoFiles, progress: Progress) -> None:
        """Set the progress of a video."""
        self._at[video] = progress

    @property
    def frames(self) -> int:
        """Finished frames of all videos."""
        return sum(progress.frames for progress in self._at.values())

    @property
    def total(self) -> int | None:
        """Frames of all videos, None if unknown for one of them."""
        known = [expected.frames for expected in self._expected.values()]
        return None if None in known else sum(frames or 0 for frames in known)

    @property
    def frames_per_s(self) -> float:
        """Frames finished by this run per second."""
        done = sum(expected.done.frames for expected in self._expected.values())
        return (self.frames - done) / self._took_s

    @property
    def faces_per_s(self) -> float:
        """Faces sent to the network by this run per second."""
        done = sum(expected.done.faces for expected in self._expected.values())
        return (sum(progress.faces for progress in self._at.values()) - done) / self._took_s

    @property
    def left_s(self) -> float | None:
        """Remaining time at this rate, s; None if unknown."""
        if self.total is None or self.frames_per_s <= 0:
            return None
        return max(0, self.total - self.frames) / self.frames_per_s

    @property
    def rates(self) -> str:
        """Rates, remaining time and restarts as text."""
        parts = [f"{self.frames_per_s:.1f} frames/s", f"{self.faces_per_s:.1f} faces/s"]
        if self.left_s is not None:
            parts.append(f"{format_s(self.left_s)} left")
        if self.restarts:
            parts.append(f"{counted(self.restarts, 'worker')} lost and replaced")
        return ", ".join(parts)

    def of(self, video: VideoFiles) -> str:
        """Return the progress of one video as text."""
        at, total = self._at[video], self._expected[video].frames
        faces = f"faces restored {counted(at.faces, 'time')}"
        return f"frame {at.frames}{f'/{total}' if total else ''}, {faces}"

    @property
    def _took_s(self) -> float:
        return max(self._now() - self._began_s, 1e-3)


def format_s(seconds: float) -> str:
    """Format seconds as H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
