"""Planning the segments of a video from a scan of its packets.

The plan depends on the video and the configuration only, not on the number of workers, so that the
output does not depend on the cluster.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from nodes.media.open import stores_times
from pipeline.containers.probe import PacketScan

__all__ = ["Interval", "SegmentPlan", "plan_segments"]

WHOLE_BELOW: Final = 1.5
"""A video shorter than this many segments is not split."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The frames with `start_pts <= pts < end_pts`; None is the start or end of the video."""

    start_pts: int | None = None
    end_pts: int | None = None
    warmup_pts: int | None = None
    """First pts to decode, for the warm-up of nodes with bounded state."""
    frames: int | None = None
    """Number of frames, None without a scan."""


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """The segments of a video."""

    intervals: tuple[Interval, ...]
    """In order and without gaps, from the start of the video to its end."""
    why_whole: str | None = None
    """Why the video is not split, None if it is."""


def plan_segments(
    scan: PacketScan | None, *, segment_s: float, warmup_s: float, uncut: str | None = None
) -> SegmentPlan:
    """Split a video at keyframes into segments of about equal length.

    Args:
        scan: the video's packets; None if they cannot be read twice.
        segment_s: wanted length of a segment, s; 0 does not split.
        warmup_s: warm-up before each segment, s.
        uncut: a reason for not splitting, None if there is none.
    """
    reason = uncut or (_irregular(scan) if scan else "it is read from the network, once")
    if scan is None or reason:
        return SegmentPlan((Interval(frames=scan.frames if scan else None),), reason)
    shown, base = scan.shown_pts, scan.time_base
    length_s = float((shown[-1] - shown[0]) * base) if shown else 0.0
    whole = (Interval(frames=scan.frames),)
    if not segment_s:
        return SegmentPlan(whole, "run.segment_s is 0")
    if length_s < WHOLE_BELOW * segment_s:
        return SegmentPlan(whole, f"it is shorter than {WHOLE_BELOW * segment_s:g} s")
    cuts = _cuts(scan, max(1, round(segment_s / base)))
    if not cuts:
        return SegmentPlan(whole, "it has no second keyframe to cut at")
    warmup_ticks = round(warmup_s / base)
    bounds = [0, *(bisect_left(shown, cut) for cut in cuts), len(shown)]
    return SegmentPlan(
        tuple(
            Interval(start, end, _warmup(start, warmup_ticks), after - before)
            for (start, end), (before, after) in zip(
                pairwise([None, *cuts, None]), pairwise(bounds), strict=True
            )
        )
    )


def _irregular(scan: PacketScan) -> str | None:
    """Return why pts do not identify frames reliably, None if they do."""
    repeated = len(scan.shown_pts) - len(set(scan.shown_pts))
    names = set(scan.container.split(","))
    reasons = (
        (scan.container.endswith("_pipe") or bool(names & _TIMELESS), "it stores no times"),
        (not stores_times(scan.container), "it stores no times"),
        ("mpeg" in names, "a program stream read from its middle has other times"),
        (scan.missing_pts > 0, f"{scan.missing_pts} frames have no time"),
        (repeated > 0, f"{repeated} frames have the time of another"),
        (scan.backward_dts > 0, f"its times go back {scan.backward_dts} times"),
        (scan.damaged_packets > 0, f"{scan.damaged_packets} packets are damaged"),
        (scan.ended_in_error, "it cannot be read to its end"),
    )
    return next((reason for found, reason in reasons if found), None)


_TIMELESS: Final = frozenset({"avi", "dv", "gif"})
"""Demuxers that compute presentation times from a rate and the number of frames."""


def _cuts(scan: PacketScan, segment_ticks: int) -> list[int]:
    """Return the keyframes nearest to equally spaced times, in order and without duplicates."""
    first, last = scan.shown_pts[0], scan.shown_pts[-1]
    keys = [pts for pts in scan.keyframe_pts if pts > first]
    pieces = max(1, round((last - first) / segment_ticks))
    cuts: set[int] = set()
    for piece in range(1, pieces) if keys else ():
        wanted = first + (last - first) * piece // pieces
        index = bisect_left(keys, wanted)
        cuts.add(min(keys[max(0, index - 1) : index + 1], key=lambda pts: abs(pts - wanted)))
    return sorted(cuts)


def _warmup(start_pts: int | None, warmup_ticks: int) -> int | None:
    if start_pts is None or not warmup_ticks:
        return None
    return start_pts - warmup_ticks
