"""Presentation times that always increase, whatever the source says."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

__all__ = ["PresentationClock"]

TRUSTED_REPEATS = 4
"""So many repeated or backward times in a row are slips; more, and the source's clock is broken."""

MAX_NAMED_FRAMES = 20


@dataclass(slots=True)
class PresentationClock:
    """Gives each frame of a stream a strictly increasing pts, its own wherever that is possible.

    A missing time is put one average frame after the one before. A repeated or backward time is put
    half a frame after it, so that the good times which follow stay as they are; where four in a row
    are bad, the clock runs on at the average rate until the source's times are ahead again.
    """

    step_ticks: Fraction
    """Ticks between two frames at the average rate."""
    missing: int = 0
    disordered: int = 0
    frames: list[int] = field(default_factory=list[int])
    """Numbers of the first frames whose time was made up."""
    _last: Fraction | None = None
    _bad_in_a_row: int = 0

    def next(self, index: int, pts: int | None) -> int:
        """Return the pts of frame `index`, whose own is `pts` (None when it has none)."""
        last = self._last
        if pts is not None and (last is None or pts > int(last)):
            self._bad_in_a_row = 0
            self._last = Fraction(pts)
            return pts
        if len(self.frames) < MAX_NAMED_FRAMES:
            self.frames.append(index)
        if pts is None:
            self.missing += 1
            step = self.step_ticks
        else:
            self.disordered += 1
            self._bad_in_a_row += 1
            step = self.step_ticks / (2 if self._bad_in_a_row <= TRUSTED_REPEATS else 1)
        # The sum is kept as a fraction, so that a rate like 30000/1001 does not drift.
        self._last = Fraction(0) if last is None else max(last + step, Fraction(int(last) + 1))
        return int(self._last)
