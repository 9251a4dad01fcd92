"""Making presentation times strictly increasing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av

from nodes.types import Restart

__all__ = ["RESTART_S", "PresentationClock"]

TRUSTED_REPEATS = 4
"""Most repeated or backward times in a row after which later times are still trusted."""

RESTART_S = Fraction(1, 2)
"""Times that go back by more than this, s, mean that the clock restarted: joined recordings."""

MAX_NAMED_FRAMES = 20


@dataclass(slots=True)
class PresentationClock:
    """Assigns each frame of a stream a strictly increasing pts, its own if possible.

    A frame without pts is placed one average frame after the previous one. A repeated or backward
    pts is placed half a frame after the previous one, so that following correct times are kept;
    after four of them in a row times continue at the average rate until the source's are ahead
    again. A pts that is far ahead of the next one counts as missing. If times go back by more than
    half a second and stay there, the source's clock has restarted: the following times are shifted
    to begin one average frame after the previous one.
    """

    step_ticks: Fraction
    """Ticks between two frames at the average rate."""
    restart_ticks: Fraction | None = None
    """`RESTART_S` in ticks; None disables the detection of restarts."""
    most_step_ticks: int | None = None
    """A larger step forwards is a restart, too; see `nodes.media.open.most_step_ticks`."""
    missing: int = 0
    disordered: int = 0
    frames: list[int] = field(default_factory=list[int])
    """Numbers of the first frames whose time was computed."""
    restarts: list[Restart] = field(default_factory=list[Restart])
    _last: Fraction | None = None
    _last_own: int = 0
    _offset: int = 0
    _bad_in_a_row: int = 0

    def count_back(self, known: int, frames: int) -> int:
        """Start this many frames before the first known pts; return the pts of the first frame."""
        self._last = known - (frames + 1) * self.step_ticks
        return int(known - frames * self.step_ticks)

    def believed(
        self, pictures: Iterable[av.VideoFrame]
    ) -> Iterator[tuple[av.VideoFrame, int | None]]:
        """Yield each picture with its own pts, None if the next one shows that it is too late.

        All that follows such a pts would count as backward. `next` has to be called for each
        picture before the next one is taken.
        """
        pictures = iter(pictures)
        picture = next(pictures, None)
        while picture is not None:
            own, following = picture.pts, None
            if own is not None and self._is_ahead(own):
                following = next(pictures, None)
                if following is not None and self._is_between(following.pts, own):
                    own = None
            yield picture, own
            picture = next(pictures, None) if following is None else following

    def _is_ahead(self, pts: int) -> bool:
        return self._last is not None and pts + self._offset > self._last + 2 * self.step_ticks

    def _is_between(self, pts: int | None, later: int) -> bool:
        last = self._last
        return (
            last is not None
            and pts is not None
            and last < pts + self._offset < later + self._offset
        )

    def next(self, index: int, pts: int | None) -> int:
        """Return the pts to use for frame `index`, whose own is `pts` (None if it has none)."""
        last = self._last
        if pts is not None:
            self._offset = self._offset_of(pts)
            if last is None or pts + self._offset > int(last):
                self._bad_in_a_row = 0
                self._last, self._last_own = Fraction(pts + self._offset), pts
                return pts + self._offset
        if len(self.frames) < MAX_NAMED_FRAMES:
            self.frames.append(index)
        if pts is None:
            self.missing += 1
            step = self.step_ticks
        else:
            self.disordered += 1
            self._bad_in_a_row += 1
            step = self.step_ticks / (2 if self._bad_in_a_row <= TRUSTED_REPEATS else 1)
        # A fraction, so that rates such as 30000/1001 do not drift.
        self._last = Fraction(0) if last is None else max(last + step, Fraction(int(last) + 1))
        return int(self._last)

    def _offset_of(self, pts: int) -> int:
        """Return the offset to add to a frame's own pts."""
        last, limit = self._last, self.restart_ticks
        if last is None or limit is None or last < pts + self._offset <= last + limit:
            return self._offset
        # It was a single wrong time, and the clock has not restarted.
        for count, known in enumerate((0, *(restart.offset_ticks for restart in self.restarts))):
            if last < pts + known <= last + limit:
                self.disordered += 1
                del self.restarts[count:]
                return known
        most = self.most_step_ticks
        if pts + self._offset > last - limit and (most is None or pts + self._offset < last + most):
            return self._offset
        offset = int(max(last + self.step_ticks, Fraction(int(last) + 1))) - pts
        self.restarts.append(Restart(self._last_own, pts, offset))
        return offset
