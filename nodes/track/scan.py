"""Scheduling the search for new faces: a rolling scan that follows motion, and scene cuts.

Scanning a whole frame at every size takes hundreds of detections, so that only a few squares are
scanned in each frame: first those with motion outside of known people, each at most once per
interval; then, at a fixed rate, those in which known people move and those not scanned for longest.
After a scene cut all squares are due. Works on small luma pictures only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from nodes.track.views import Square
from nodes.types import Box

__all__ = ["IDLE_LOOKS_PER_S", "RollingScan", "SceneCuts"]

Luma = npt.NDArray[np.float32]
"""Shape (rows, columns), 0 to 1: every n-th luma sample of a frame."""

IDLE_LOOKS_PER_S: Final = 25.0
"""Squares without motion to scan per second, because faces turn to the camera and the detector
misses some."""

_MOVED_SHARE: Final = 0.005
"""A square has motion if this share of its samples changed since its last scan."""
_MOVED_LEVEL: Final = 0.045
"""A sample has changed if it differs by this, of full scale, plus `_NOISE_FACTOR` times the median
change of the picture (its noise)."""
_NOISE_FACTOR: Final = 4.5
_MOST_NOISE: Final = 0.04
"""A larger median change, of full scale, is not noise but motion of the whole picture."""

_BODY: Final = (2.2, 1.7, 5.0)
"""Extent of a person from the centre of the face to each side, up and down, in widths of the face.
Motion in it is hardly ever that of another face."""
_IDLE_REST: Final = 4.0
"""Squares with such motion only are scanned like idle ones, at most once in this many intervals."""

_CUT_BLOCK: Final = 8
_CUT_LEVEL: Final = 0.08
"""Least mean change between frames at a scene cut, of full scale, without changes of brightness."""
_CUT_OVER_USUAL: Final = 3.0
"""Least ratio to the recent mean change: a shaking camera is not a cut."""


class RollingScan:
    """Distributes the squares of a full scan over frames."""

    def __init__(
        self,
        squares: Sequence[Square],
        *,
        interval_s: float,
        step_px: int,
        stretch: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Start with all squares due.

        Args:
            squares: of the full scan, the large ones first.
            interval_s: a square with motion is due once in this time.
            step_px: frame pixels between the luma samples passed to `due`.
            stretch: factors from frame pixels to the squares' pixels, across and down.
        """
        self._squares = list(squares)
        self._interval_s = interval_s
        self._step_x_px, self._step_y_px = (step_px * factor for factor in stretch)
        self.restart()

    def restart(self) -> None:
        """Make all squares due, as at a scene cut."""
        self._reference: Luma | None = None
        self._seen_s = np.full(len(self._squares), -np.inf)
        # When each was last looked at because something moved.
        self._followed_s = self._seen_s.copy()
        # Samples that changed in each since it was looked at: known people aside, and in all.
        self._moved = np.zeros(len(self._squares))
        self._moved_at_all = np.zeros(len(self._squares))
        self._moving_budget = self._idle_budget = 0.0
        self._last_s = 0.0

    def due(self, time_s: float, luma: Luma, known: Sequence[Box] = ()) -> list[Square]:
        """Return the squares to scan in this frame.

        Args:
            time_s: time of the frame, later than in the previous call.
            luma: samples of the frame.
            known: boxes of the tracked faces.
        """
        if self._reference is None:
            self._reference = luma.copy()
            self._windows = self._windows_in(luma.shape)
            self._last_s = time_s
            return self._take(np.arange(len(self._squares)), time_s)
        changed = self._changed(luma, self._reference)
        self._moved_at_all += self._count(changed)
        self._moved += self._count(self._without(changed, known))
        passed_s, self._last_s = time_s - self._last_s, time_s
        least = _MOVED_SHARE * self._windows[4]
        rate_per_s = len(self._squares) / self._interval_s
        self._moving_budget = _refilled(self._moving_budget, passed_s, rate_per_s)
        rested = time_s - self._followed_s >= self._interval_s
        moving = np.flatnonzero(rested & (self._moved > least))
        oldest_first = np.argsort(self._seen_s[moving], kind="stable")
        moving = moving[oldest_first][: int(self._moving_budget)]
        self._moving_budget -= len(moving)
        self._followed_s[moving] = time_s
        chosen = self._take(moving, time_s)
        self._idle_budget = _refilled(self._idle_budget, passed_s, IDLE_LOOKS_PER_S)
        bodies_first = np.lexsort((self._seen_s, self._moved_at_all <= least))
        rested = time_s - self._seen_s >= _IDLE_REST * self._interval_s
        idle = bodies_first[rested[bodies_first]][: int(self._idle_budget)]
        self._idle_budget -= len(idle)
        return chosen + self._take(idle, time_s)

    def _take(self, indices: npt.NDArray[np.intp], time_s: float) -> list[Square]:
        self._seen_s[indices] = time_s
        self._moved[indices] = self._moved_at_all[indices] = 0
        return [self._squares[index] for index in indices]

    def _changed(self, luma: Luma, reference: Luma) -> npt.NDArray[np.bool_]:
        """Return which samples differ from `reference`, and update those there."""
        change = luma - reference
        # Without its median, so that flickering light is not motion.
        change = np.abs(change - np.median(change))
        noise = float(np.median(change))
        level = _MOVED_LEVEL + (_NOISE_FACTOR * noise if noise < _MOST_NOISE else 0)
        changed = change > level
        reference[changed] = luma[changed]
        return changed

    def _without(
        self, changed: npt.NDArray[np.bool_], known: Sequence[Box]
    ) -> npt.NDArray[np.bool_]:
        aside, up, down = _BODY
        for x0, y0, x1, y1 in known:
            x, y, width = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0
            left, right = (
                max(0, round((x + s * width) / self._step_x_px)) for s in (-aside, aside)
            )
            top, bottom = (max(0, round((y + s * width) / self._step_y_px)) for s in (-up, down))
            changed[top : bottom + 1, left : right + 1] = False
        return changed

    def _count(self, changed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Count the changed samples in every square, with a summed-area table."""
        table = np.zeros((changed.shape[0] + 1, changed.shape[1] + 1), np.int64)
        np.cumsum(changed.cumsum(axis=0, dtype=np.int64), axis=1, out=table[1:, 1:])
        left, top, right, bottom, _ = self._windows
        return table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]

    def _windows_in(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Return left, top, right, bottom and area of every square, in samples; shape (5, N)."""
        rows, columns = shape
        centres = np.array([square.centre_px for square in self._squares])
        half = np.array([square.side_px for square in self._squares]) / 2
        steps_px = np.array([self._step_x_px, self._step_y_px])
        low = np.floor((centres - half[:, None]) / steps_px)
        high = np.ceil((centres + half[:, None]) / steps_px)
        left, right = (np.clip(side[:, 0], 0, columns) for side in (low, high))
        top, bottom = (np.clip(side[:, 1], 0, rows) for side in (low, high))
        area = (right - left) * (bottom - top)
        return np.stack([left, top, right, bottom, area]).astype(np.int64)


def _refilled(budget: float, passed_s: float, rate_per_s: float) -> float:
    """Increase a budget by the time passed, up to that of 0.25 s, or 1 if that is more."""
    most = max(1.0, rate_per_s / 4)
    return min(budget + rate_per_s * max(0.0, passed_s), most)


class SceneCuts:
    """Detects scene cuts."""

    def __init__(self) -> None:
        self._last: Luma | None = None
        self._usual = 0.0

    def is_cut(self, luma: Luma) -> bool:
        """Compare with the previous frame; the first frame is not a cut."""
        rows, columns = (side // _CUT_BLOCK for side in luma.shape)
        if not rows or not columns:
            return False
        # In coarse blocks, so that moving texture is not a cut.
        blocks = luma[: rows * _CUT_BLOCK, : columns * _CUT_BLOCK]
        coarse = blocks.reshape(rows, _CUT_BLOCK, columns, _CUT_BLOCK).mean(axis=(1, 3))
        # Without its mean, so that a flash is not a cut.
        flat = coarse - coarse.mean()
        last, self._last = self._last, flat
        if last is None:
            return False
        change = float(np.abs(flat - last).mean())
        cut = change > _CUT_LEVEL and change > _CUT_OVER_USUAL * self._usual
        self._usual = 0.8 * self._usual + 0.2 * change
        return cut
