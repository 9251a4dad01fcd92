"""Planning the segments of a video from a scan of its packets.

The plan depends on the video and the configuration only, not on the number of workers, so that the
output does not depend on the cluster.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from nodes.media.open import stores_times
from nodes.reports import counted
from pipeline.containers.probe import PacketScan

__all__ = ["Interval", "SegmentPlan", "irregular", "plan_segments"]

WHOLE_BELOW: Final = 1.5
"""A video shorter than this many segments is not split."""
_USUAL_SEGMENTS: Final = 20
_USUAL_S: Final = (20.0, 60.0)
"""Shortest and longest segments, s. A fixed camera without faces takes 0.78 of the CPU time with 60
s that it takes with 20 s (docs/cost.md)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The frames with `start_pts <= pts < end_pts`; None is the start or end of the video."""

    start_pts: int | None = None
    end_pts: int | None = None
    warmup_pts: int | None = None
    """First pts to decode, for the warm-up of nodes with bounded state."""
    frames: int | None = None
    """Number of frames, None without a scan."""
    cuts: tuple[int, ...] | None = None
    """Pts between which frames are all encoded or all left to be copied, see `CopyPlan.cuts`."""


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """The segments of a video."""

    intervals: tuple[Interval, ...]
    """In order and without gaps, from the start of the video to its end."""
    why_whole: str | None = None
    """Why the video is not split, None if it is."""
    cuts: tuple[int, ...] | None = None
    """As in `CopyPlan`, of the whole video."""


def plan_segments(
    scan: PacketScan | None,
    *,
    segment_s: float | None,
    warmup_s: float,
    uncut: str | None = None,
    cuts: tuple[int, ...] | None = None,
) -> SegmentPlan:
    """Split a video at keyframes into segments of about equal length.

    Args:
        scan: the video's packets; None if they cannot be read twice.
        segment_s: wanted length of a segment, s; 0 does not split. None: by the video's length.
        warmup_s: warm-up before each segment, s.
        uncut: a reason for not splitting, None if there is none.
        cuts: from `plan_copying`. The video is split only at these, unless that gives fewer
            segments: then it is copied or encoded as a whole.
    """
    segments = _split(scan, segment_s, warmup_s, uncut, cuts)
    return segments if cuts is None else _with_cuts(segments, cuts)


def _split(
    scan: PacketScan | None,
    segment_s: float | None,
    warmup_s: float,
    uncut: str | None,
    cuts: tuple[int, ...] | None,
) -> SegmentPlan:
    reason = uncut or (irregular(scan) if scan else "it is read from the network, once")
    if scan is None or reason:
        return SegmentPlan((Interval(frames=scan.frames if scan else None),), reason)
    shown, base = scan.shown_pts, scan.time_base
    length_s = float((shown[-1] - shown[0]) * base) if shown else 0.0
    whole = (Interval(frames=scan.frames),)
    if segment_s is None:
        segment_s = _usual_segment_s(length_s)
    if not segment_s:
        return SegmentPlan(whole, "run.segment_s is 0")
    if length_s < WHOLE_BELOW * segment_s:
        return SegmentPlan(whole, f"it is shorter than {WHOLE_BELOW * segment_s:g} s")
    segment_ticks = max(1, round(segment_s / base))
    pieces = _bounds(scan, scan.keyframe_pts, segment_ticks)
    closed = _bounds(scan, cuts or (), segment_ticks)
    if len(closed) == len(pieces):
        pieces = closed
    if not pieces:
        return SegmentPlan(whole, "it has no second keyframe to cut at")
    warmup_ticks = round(warmup_s / base)
    bounds = [0, *(bisect_left(shown, bound) for bound in pieces), len(shown)]
    return SegmentPlan(
        tuple(
            Interval(start, end, _warmup(start, warmup_ticks), after - before)
            for (start, end), (before, after) in zip(
                pairwise([None, *pieces, None]), pairwise(bounds), strict=True
            )
        )
    )


def _usual_segment_s(length_s: float) -> float:
    """Return the length of segments of a video of this length, s.

    Each segment begins with a warm-up and a search of the whole picture, so that few are better;
    but they are also what is computed at the same time, and what is repeated after a failure.
    """
    shortest_s, longest_s = _USUAL_S
    return min(max(length_s / _USUAL_SEGMENTS, shortest_s), longest_s)


def _with_cuts(plan: SegmentPlan, cuts: tuple[int, ...]) -> SegmentPlan:
    """Return a plan with the cuts of the video and of each segment."""
    bounds = {at.start_pts for at in plan.intervals} - {None}
    if not bounds <= set(cuts):
        cuts = ()
    intervals = tuple(replace(at, cuts=_inside(at, cuts)) for at in plan.intervals)
    return replace(plan, intervals=intervals, cuts=cuts)


def _inside(at: Interval, cuts: tuple[int, ...]) -> tuple[int, ...]:
    first = 0 if at.start_pts is None else bisect_right(cuts, at.start_pts)
    return cuts[first : None if at.end_pts is None else bisect_left(cuts, at.end_pts)]


def irregular(scan: PacketScan) -> str | None:
    """Return why pts do not identify frames reliably, None if they do."""
    repeated = len(scan.shown_pts) - len(set(scan.shown_pts))
    names = set(scan.container.split(","))
    reasons = (
        (scan.container.endswith("_pipe") or bool(names & _TIMELESS), "it stores no times"),
        (not stores_times(scan.container), "it stores no times"),
        ("mpeg" in names, "a program stream read from its middle has other times"),
        (scan.missing_pts > 0, f"{counted(scan.missing_pts, 'frame')} without a time"),
        (repeated > 0, f"{counted(repeated, 'frame')} with the time of another"),
        (scan.backward_dts > 0, f"its times go back {counted(scan.backward_dts, 'time')}"),
        (scan.damaged_packets > 0, counted(scan.damaged_packets, "damaged packet")),
        (scan.ended_in_error, "it cannot be read to its end"),
    )
    return next((reason for found, reason in reasons if found), None)


_TIMELESS: Final = frozenset({"avi", "dv", "gif"})
"""Demuxers that compute presentation times from a rate and the number of frames."""


def _bounds(scan: PacketScan, keyframes: Sequence[int], segment_ticks: int) -> list[int]:
    """Return the keyframes nearest to equally spaced times, in order and without duplicates."""
    first, last = scan.shown_pts[0], scan.shown_pts[-1]
    keys = [pts for pts in keyframes if pts > first]
    pieces = max(1, round((last - first) / segment_ticks))
    bounds: set[int] = set()
    for piece in range(1, pieces) if keys else ():
        wanted = first + (last - first) * piece // pieces
        index = bisect_left(keys, wanted)
        bounds.add(min(keys[max(0, index - 1) : index + 1], key=lambda pts: abs(pts - wanted)))
    return sorted(bounds)


def _warmup(start_pts: int | None, warmup_ticks: int) -> int | None:
    if start_pts is None or not warmup_ticks:
        return None
    return start_pts - warmup_ticks
