"""Presentation and decoding times of an output's video."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from nodes.errors import MediaError
from nodes.types import VideoInfo
from pipeline.pieces.packets import Piece, piece_times

__all__ = ["VideoTiming", "deviation", "read_timing"]


@dataclass(frozen=True, slots=True)
class VideoTiming:
    """The times of an encoded video, in ticks of the source's time base."""

    pts: array[int]
    shown: array[int]
    """The same, sorted."""
    reorder: int
    last_duration_ticks: int
    counts: tuple[int, ...] = ()
    """Number of packets of each piece."""

    def dts(self, number: int) -> int:
        """Return the decoding time of packet `number`."""
        if number >= self.reorder:
            return self.shown[number - self.reorder]
        gap = self.shown[1] - self.shown[0]
        return self.shown[0] - (self.reorder - number) * gap

    def duration(self, number: int) -> int:
        """Return the duration of the picture of packet `number`."""
        index = bisect_right(self.shown, self.pts[number])
        if index == len(self.shown):
            return self.last_duration_ticks
        return self.shown[index] - self.pts[number]


def read_timing(
    pieces: Sequence[Piece], source: str, info: VideoInfo, last_duration_ticks: int
) -> VideoTiming:
    """Read the times of all packets.

    Args:
        pieces: encoded files and stretches of the source, in order.
        source: path or URL of the source.
        info: the encoded video, whose time base is used.
        last_duration_ticks: duration of the last frame, 0 if unknown.

    Raises:
        MediaError: a file cannot be read, is empty, has times between the source's ticks, or starts
            before the end of the previous one; or a stretch of the source has other packets.
    """
    pts, counts = array("q"), list[int]()
    latest: int | None = None
    for piece, times in zip(pieces, piece_times(pieces, source, info), strict=True):
        if not times:
            raise MediaError(f"{piece}: holds no frame")
        if latest is not None and min(times) <= latest:
            raise MediaError(f"{piece}: begins at {min(times)}, expected later than {latest}")
        latest = max(times)
        pts.extend(times)
        counts.append(len(times))
    shown = array("q", sorted(pts))
    reorder = max(number - bisect_left(shown, time) for number, time in enumerate(pts))
    if not last_duration_ticks:
        last_duration_ticks = shown[-1] - shown[-2] if len(shown) > 1 else 1
    return VideoTiming(pts, shown, reorder, last_duration_ticks, tuple(counts))


def deviation(
    ticks: Sequence[int], time_base: Fraction, exact: Sequence[int], exact_base: Fraction
) -> tuple[Fraction, Fraction]:
    """Return the shift of `ticks` relative to `exact`, and the largest other deviation, s."""
    if not ticks:
        return Fraction(0), Fraction(0)
    first = ticks[0] * time_base - exact[0] * exact_base
    shift = first if abs(first) > time_base else Fraction(0)
    # Distances from the first frame are compared as integers of a common tick.
    unit = Fraction(1, lcm(time_base.denominator, exact_base.denominator))
    ours, theirs = int(time_base / unit), int(exact_base / unit)
    rests = array("q", (a * ours - b * theirs for a, b in zip(ticks, exact, strict=True)))
    return shift, max(abs(rest * unit - shift) for rest in (min(rests), max(rests)))
