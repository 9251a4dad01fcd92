"""Where to look for new faces, and when: a rolling scan that follows motion, and scene cuts.

Looking everywhere at every size costs dozens of detections, so each frame pays for a few squares:
all are due once in an interval, those where nothing moved are let off until `MAX_SKIP_S`, and
after a cut all of them are due at once. Pure decisions on small luma pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from nodes.views import Square

__all__ = ["MAX_SKIP_S", "RollingScan", "SceneCuts"]

Luma = npt.NDArray[np.float32]
"""Shape (rows, columns), 0 to 1: every n-th luma sample of a frame."""

MAX_SKIP_S: Final = 2.0
"""A square where nothing moves is looked at this often all the same: faces turn towards us."""

_MOVED_SHARE: Final = 0.005
"""Share of a square's samples that must change for it to count as moving."""
_MOVED_LEVEL: Final = 0.03
"""Change of one sample, above three times the picture's median change (noise, flicker)."""
_MOST_NOISE: Final = 0.05
"""A larger median change is no noise: everything moves."""

_CUT_BLOCK: Final = 8
_CUT_LEVEL: Final = 0.08
"""Mean change from one frame to the next, brightness aside, from which it may be a cut ..."""
_CUT_OVER_USUAL: Final = 3.0
"""... if it is also this much more than usual: a shaking camera is no cut."""


class RollingScan:
    """Hands out the squares of a full scan, a few each frame."""

    def __init__(self, squares: Sequence[Square], *, interval_s: float, step_px: int) -> None:
        """Start with all squares due.

        Args:
            squares: of the full scan, the large ones first.
            interval_s: every square comes up once in this time.
            step_px: frame pixels between the luma samples that `due` will be given.
        """
        self._squares = list(squares)
        self._interval_s = interval_s
        self._step_px = step_px
        self.restart()

    def restart(self) -> None:
        """Make all squares due at once: what is shown is new."""
        self._seen: list[tuple[float, Luma] | None] = [None] * len(self._squares)
        self._next = 0
        self._credit = float(len(self._squares))
        self._last_s: float | None = None

    def due(self, time_s: float, luma: Luma) -> list[Square]:
        """Return the squares to look at in this frame."""
        count = len(self._squares)
        if self._last_s is not None:
            self._credit += count * max(0.0, time_s - self._last_s) / self._interval_s
        self._last_s = time_s
        turn, self._credit = divmod(min(self._credit, float(count)), 1.0)
        chosen: list[Square] = []
        for _ in range(int(turn)):
            index, self._next = self._next, (self._next + 1) % count
            if self._worth_it(index, time_s, luma):
                self._seen[index] = (time_s, luma)
                chosen.append(self._squares[index])
        return chosen

    def _worth_it(self, index: int, time_s: float, luma: Luma) -> bool:
        seen = self._seen[index]
        if seen is None or time_s - seen[0] >= MAX_SKIP_S:
            return True
        change = np.abs(luma - seen[1])
        noise = min(float(np.median(change)), _MOST_NOISE)
        square = self._squares[index]
        half = square.side_px / 2
        x0, x1 = (max(0, int((square.centre_px[0] + s * half) / self._step_px)) for s in (-1, 1))
        y0, y1 = (max(0, int((square.centre_px[1] + s * half) / self._step_px)) for s in (-1, 1))
        moved = change[y0 : y1 + 1, x0 : x1 + 1] > _MOVED_LEVEL + 3 * noise
        return bool(moved.mean() > _MOVED_SHARE)


class SceneCuts:
    """Tells frames that begin another scene."""

    def __init__(self) -> None:
        self._last: Luma | None = None
        self._usual = 0.0

    def is_cut(self, luma: Luma) -> bool:
        """Compare with the frame before; the first frame is no cut."""
        rows, columns = (side // _CUT_BLOCK for side in luma.shape)
        if not rows or not columns:
            return False
        # In coarse blocks, so that moving texture is no cut.
        blocks = luma[: rows * _CUT_BLOCK, : columns * _CUT_BLOCK]
        coarse = blocks.reshape(rows, _CUT_BLOCK, columns, _CUT_BLOCK).mean(axis=(1, 3))
        # Without its mean, so that a flash or a switched lamp is no cut.
        flat = coarse - coarse.mean()
        last, self._last = self._last, flat
        if last is None:
            return False
        change = float(np.abs(flat - last).mean())
        cut = change > _CUT_LEVEL and change > _CUT_OVER_USUAL * self._usual
        self._usual = 0.8 * self._usual + 0.2 * change
        return cut
