"""A bound on the bytes that a segment's pool work has under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["ByteCredits"]

POLL_S: Final = 0.1


class ByteCredits:
    """Frames take what their pool work needs and give it back when every sink is through with them.

    The oldest frame under way always gets what it wants, even beyond the limit: all that came
    later waits for it, so refusing it would stop everything.
    """

    def __init__(self, limit_bytes: int | None) -> None:
        """Hand out at most so many bytes at once; None only counts."""
        self._limit = limit_bytes
        self._under_way: dict[int, int] = {}
        self._total = 0
        self._changed = threading.Condition()
        self.peak_bytes = 0
        """Most that was ever under way."""
        self.travelled_bytes = 0
        """All that was handed out."""
        self.waited_s = 0.0
        """How long frames waited for others to give back."""

    def take(self, pts: int, wanted: int, check: Callable[[], None]) -> None:
        """Wait until a frame may have so many more bytes under way.

        Args:
            pts: of the frame.
            wanted: bytes.
            check: called every 0.1 s of waiting; raises to give up.
        """
        if not wanted:
            return
        with self._changed:
            started = time.perf_counter()
            while not self._may(pts, wanted):
                self._changed.wait(POLL_S)
                self.waited_s += time.perf_counter() - started
                started = time.perf_counter()
                check()
            self._under_way[pts] = self._under_way.get(pts, 0) + wanted
            self._total += wanted
            self.travelled_bytes += wanted
            self.peak_bytes = max(self.peak_bytes, self._total)

    def give_back(self, pts: int) -> None:
        """Take back all that a frame holds."""
        with self._changed:
            self._total -= self._under_way.pop(pts, 0)
            self._changed.notify_all()

    def _may(self, pts: int, wanted: int) -> bool:
        fits = self._limit is None or self._total + wanted <= self._limit
        return fits or pts <= min(self._under_way, default=pts)
