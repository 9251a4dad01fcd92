"""Scheduling the search for new faces: a rolling scan that follows motion, and scene cuts.

Scanning a whole frame at every size takes hundreds of detections, so that only a few squares are
scanned in each frame: first those with motion outside of known people, each at most once per
interval; then, at a fixed rate, those in which known people move and those not scanned for longest.
While nothing moves in a square at all, it is scanned seldom. The picture is scanned upside down,
too, at a low rate, again first where something moves.
After a scene cut all squares are due. Works on small luma pictures only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from nodes.track.contrast import Luma, percentiles, structure
from nodes.track.views import Square
from nodes.types import Box

__all__ = ["IDLE_LOOKS_PER_S", "TURNED_LOOKS_PER_S", "RollingScan", "SceneCuts"]

IDLE_LOOKS_PER_S: Final = 25.0
"""Most squares without motion to scan per second, because faces turn to the camera and the detector
misses some."""

TURNED_LOOKS_PER_S: Final = 8.0
"""Most squares with motion to look at upside down per second, and the number of those looked at so
in the first frame, the large ones first."""

STILL_TURNED_LOOKS_PER_S: Final = 2.0
"""Most others to look at upside down per second."""

_MOVED_SHARE: Final = 0.005
"""A square has motion if this share of its samples changed since its last scan."""
_MOVED_LEVEL: Final = 0.045
"""A sample has changed if it differs by this, of full scale, plus `_NOISE_FACTOR` times the median
change of the picture (its noise)."""
_NOISE_FACTOR: Final = 4.5
_MOST_NOISE: Final = 0.04
"""A larger median change, of full scale, is not noise but motion of the whole picture."""
_USUAL_SPREAD, _LEAST_SPREAD = 0.12, 0.1
"""Standard deviation of luma below which less of a change is motion, and the least factor: at 6 %
light nothing changes by `_MOVED_LEVEL`."""
_OTHER_LIGHT: Final = 1.25
"""A change of the whole picture's contrast by this factor is another light, not motion."""

_BODY: Final = (2.2, 1.7, 5.0)
"""Extent of a person from the centre of the face to each side, up and down, in widths of the face.
Motion in it is hardly ever that of another face."""
_IDLE_REST: Final = 4.0
"""Squares with such motion only are scanned like idle ones, at most once in this many intervals."""
_STILL_REST: Final = 64.0
"""The most for a square in which nothing moves: from one scan to the next its rest doubles up to
this. Of 48 faces that stood still, 15 to 25 px wide, 46 were found at the first look, and no more
in 20 s."""

_CUT_LEVEL: Final = 0.7
"""Least mean change at a scene cut of both parts of `structure`. Of pairs of unrelated pictures
99 % differ by more than 0.78, at 6 % light too; of pairs of successive ones 99 % by less than 0.54,
and by less than 0.65 with other light on one of them (gain, gamma, haze, from one side)."""
_CUT_OVER_USUAL: Final = 3.0
"""Least ratio to the recent mean change: a shaking camera is not a cut."""


class _Looks:
    """When each square was looked at, and what has changed in it since."""

    def __init__(self, squares: Sequence[Square], interval_s: float) -> None:
        self._squares = squares
        self._shortest_rest_s = _IDLE_REST * interval_s
        self._longest_rest_s = _STILL_REST * interval_s
        count = len(squares)
        self.seen_s = np.full(count, -np.inf)
        self.changed = np.zeros(count)
        """Samples that changed, those on known people, too."""
        self.least = np.zeros(count)
        """Changed samples up to which nothing moves."""
        self._rest_s = np.full(count, self._shortest_rest_s)

    def rested(self, time_s: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the squares whose rest is over, those seen longest ago first.

        Returns:
            Indices of those with motion, and of the others.
        """
        still = self.changed <= self.least
        rest_s = np.where(still, self._rest_s, self._shortest_rest_s)
        oldest_first = np.argsort(self.seen_s, kind="stable")
        order = oldest_first[(time_s - self.seen_s >= rest_s)[oldest_first]]
        return order[~still[order]], order[still[order]]

    def take(self, indices: npt.NDArray[np.intp], time_s: float) -> list[Square]:
        """Note that these are looked at now; return them."""
        again = np.isfinite(self.seen_s[indices])
        still = again & (self.changed[indices] <= self.least[indices])
        longer_s = np.minimum(2 * self._rest_s[indices], self._longest_rest_s)
        self._rest_s[indices] = np.where(still, longer_s, self._shortest_rest_s)
        self.seen_s[indices] = time_s
        self.changed[indices] = 0
        return [self._squares[index] for index in indices]


class RollingScan:
    """Distributes the squares of a full scan over frames."""

    def __init__(
        self,
        squares: Sequence[Square],
        *,
        turned: Sequence[Square] = (),
        interval_s: float,
        step_px: int,
        stretch: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Start with all squares due.

        Args:
            squares: of the full scan, the large ones first.
            turned: the same squares upside down.
            interval_s: a square with motion is due once in this time.
            step_px: frame pixels between the luma samples passed to `due`.
            stretch: factors from frame pixels to the squares' pixels, across and down.
        """
        self._squares, self._turned = list(squares), list(turned)
        self._interval_s = interval_s
        self._step_x_px, self._step_y_px = (step_px * factor for factor in stretch)
        self.restart()

    def restart(self) -> None:
        """Make all squares due, as at a scene cut."""
        self._reference: Luma | None = None
        self._upright = _Looks(self._squares, self._interval_s)
        self._upside_down = _Looks(self._turned, self._interval_s)
        # When each was last looked at because something moved, and how many samples changed since
        # without those on known people.
        self._followed_s = np.full(len(self._squares), -np.inf)
        self._moved = np.zeros(len(self._squares))
        self._moving_budget = self._idle_budget = 0.0
        self._turned_budget = self._still_turned_budget = 0.0
        self._last_s = 0.0

    def flip(self) -> None:
        """Exchange the squares and those upside down, and make all due: the camera hangs so."""
        self._squares, self._turned = self._turned, self._squares
        self.restart()

    def due(self, time_s: float, luma: Luma, known: Sequence[Box] = ()) -> list[Square]:
        """Return the squares to scan in this frame.

        Args:
            time_s: time of the frame, later than in the previous call.
            luma: samples of the frame.
            known: boxes of the tracked faces.
        """
        if self._reference is None:
            self._reference, self._last_s = luma.copy(), time_s
            self._windows = self._windows_in(luma.shape)
            least = _MOVED_SHARE * self._windows[4]
            self._upright.least, self._upside_down.least = least, least[: len(self._turned)]
            everywhere = self._upright.take(np.arange(len(self._squares)), time_s)
            largest = np.arange(min(int(TURNED_LOOKS_PER_S), len(self._turned)))
            return everywhere + self._upside_down.take(largest, time_s)
        changed = self._changed(luma, self._reference)
        in_all = self._count(changed)
        self._upright.changed += in_all
        self._upside_down.changed += in_all[: len(self._turned)]
        self._moved += self._count(self._without(changed, known)) if known else in_all
        passed_s, self._last_s = time_s - self._last_s, time_s
        moving = self._take_moving(time_s, passed_s)
        return moving + self._take_idle(time_s, passed_s) + self._take_turned(time_s, passed_s)

    def _take_moving(self, time_s: float, passed_s: float) -> list[Square]:
        """Take those with motion outside of known people."""
        rate_per_s = len(self._squares) / self._interval_s
        self._moving_budget = _refilled(self._moving_budget, passed_s, rate_per_s)
        rested = time_s - self._followed_s >= self._interval_s
        moving = np.flatnonzero(rested & (self._moved > self._upright.least))
        oldest_first = np.argsort(self._upright.seen_s[moving], kind="stable")
        moving = moving[oldest_first][: int(self._moving_budget)]
        self._moving_budget -= len(moving)
        self._followed_s[moving] = time_s
        self._moved[moving] = 0
        return self._upright.take(moving, time_s)

    def _take_idle(self, time_s: float, passed_s: float) -> list[Square]:
        """Take those where known people move, then others, if their rest is over."""
        self._idle_budget = _refilled(self._idle_budget, passed_s, IDLE_LOOKS_PER_S)
        moving, still = self._upright.rested(time_s)
        idle = np.concatenate([moving, still])[: int(self._idle_budget)]
        self._idle_budget -= len(idle)
        self._moved[idle] = 0
        return self._upright.take(idle, time_s)

    def _take_turned(self, time_s: float, passed_s: float) -> list[Square]:
        """Take those with motion, and at a lower rate others, to look at upside down."""
        self._turned_budget = _refilled(self._turned_budget, passed_s, TURNED_LOOKS_PER_S)
        self._still_turned_budget = _refilled(
            self._still_turned_budget, passed_s, STILL_TURNED_LOOKS_PER_S
        )
        moving, still = self._upside_down.rested(time_s)
        moving = moving[: int(self._turned_budget)]
        still = still[: int(self._still_turned_budget)]
        self._turned_budget -= len(moving)
        self._still_turned_budget -= len(still)
        return self._upside_down.take(np.concatenate([moving, still]), time_s)

    def _changed(self, luma: Luma, reference: Luma) -> npt.NDArray[np.bool_]:
        """Return which samples differ from the reference, and update those there."""
        self._reference = reference = _in_light_of(reference, luma)
        change = luma - reference
        # Without its median, so that flickering light is not motion.
        change = np.abs(change - _median(change))
        noise = _median(change)
        level = _MOVED_LEVEL * float(np.clip(luma.std() / _USUAL_SPREAD, _LEAST_SPREAD, 1))
        level += _NOISE_FACTOR * noise if noise < _MOST_NOISE else 0
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
        table = cv2.integral(changed.view(np.uint8)).astype(np.int64)
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


def _median(samples: Luma) -> float:
    """Return what `np.median` does, in a tenth of its time: this is done for every frame."""
    return percentiles(samples.ravel(), (50.0,))[0]


def _refilled(budget: float, passed_s: float, rate_per_s: float) -> float:
    """Increase a budget by the time passed, up to that of 0.25 s, of one frame, or 1."""
    passed_s = max(0.0, passed_s)
    return min(budget + rate_per_s * passed_s, max(1.0, rate_per_s * max(0.25, passed_s)))


def _in_light_of(reference: Luma, luma: Luma) -> Luma:
    """Return the reference as it would look in a picture's light, if that is another one."""
    before, now = float(reference.std()), float(luma.std())
    if min(before, now) <= 0 or 1 / _OTHER_LIGHT < now / before < _OTHER_LIGHT:
        return reference
    return ((reference - reference.mean()) * (now / before) + luma.mean()).astype(np.float32)


class SceneCuts:
    """Detects scene cuts by what is seen, whatever the light: a lamp or a flash is not a cut."""

    def __init__(self) -> None:
        self._last: Luma | None = None
        self._usual = 0.0

    def is_cut(self, luma: Luma) -> bool:
        """Compare with the previous frame that shows something; the first one is not a cut."""
        seen = structure(luma)
        if seen is None:
            return False
        last, self._last = self._last, seen
        if last is None:
            return False
        change = float(np.abs(seen - last).mean(axis=(1, 2)).min())
        cut = change > _CUT_LEVEL and change > _CUT_OVER_USUAL * self._usual
        self._usual = 0.8 * self._usual + 0.2 * change
        return cut
