"""Bounding the bytes of pool work that a segment has in flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["ByteCredits"]

POLL_S: Final = 0.1


class ByteCredits:
    """A credit limit in bytes: frames take credits for their pool work and return them when done.

    The oldest frame in flight always gets its credits, even beyond the limit, since all later
    frames wait for it.
    """

    def __init__(self, limit_bytes: int | None) -> None:
        """Set the limit; None only counts."""
        self._limit = limit_bytes
        self._under_way: dict[int, int] = {}
        self._total = 0
        self._changed = threading.Condition()
        self.peak_bytes = 0
        """Largest number of bytes in flight so far."""
        self.travelled_bytes = 0
        """Sum of all bytes taken."""
        self.waited_s = 0.0
        """Time that frames waited for credits."""

    def take(self, pts: int, wanted: int, check: Callable[[], None]) -> None:
        """Take credits for a frame; wait until there are enough.

        Args:
            pts: pts of the frame.
            wanted: bytes.
            check: called every 0.1 s while waiting; may raise to stop.
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
        """Return all credits of a frame."""
        with self._changed:
            self._total -= self._under_way.pop(pts, 0)
            self._changed.notify_all()

    def _may(self, pts: int, wanted: int) -> bool:
        fits = self._limit is None or self._total + wanted <= self._limit
        return fits or pts <= min(self._under_way, default=pts)
