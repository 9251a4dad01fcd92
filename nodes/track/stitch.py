"""Matching the tracks of neighbouring segments by the frames that both have seen.

A tracker starts fresh in each segment, but is warmed up on frames of the previous one. The common
numbers are used in reports and sheets only; pixels do not depend on them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nodes.types import Box

__all__ = ["SHARED_FRAMES", "TrackEnds", "stitch"]

SHARED_FRAMES: Final = 8
"""Frames at each end of a segment whose faces are kept for matching."""

_SAME_FACE: Final = 0.5
"""Least intersection over union of two boxes of the same face in one frame."""

_Seen = Mapping[int, Mapping[int, Box]]
"""Boxes by pts and track number."""


@dataclass(frozen=True, slots=True)
class TrackEnds:
    """The tracks of one segment, and the faces at its ends."""

    tracks: tuple[int, ...]
    """Numbers of the tracks confirmed in the segment, without its warm-up."""
    head: _Seen
    """The faces in the last frames of its warm-up."""
    tail: _Seen
    """The faces in its last frames."""

    def as_report(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "tracks": list(self.tracks),
            "head": _listed(self.head),
            "tail": _listed(self.tail),
        }

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> TrackEnds:
        """Convert the result of `as_report` back."""
        return cls(tuple(report["tracks"]), _mapped(report["head"]), _mapped(report["tail"]))


def stitch(segments: Sequence[TrackEnds]) -> list[dict[int, int]]:
    """Number the tracks of a video.

    Args:
        segments: all segments, in order.

    Returns:
        For each segment, a mapping from its track numbers to those of the video, from 1.
    """
    numbers: list[dict[int, int]] = []
    count = 0
    for index, segment in enumerate(segments):
        same = _matches(segments[index - 1].tail, segment.head) if index else {}
        own: dict[int, int] = {}
        for track in segment.tracks:
            known = numbers[-1].get(same[track]) if track in same else None
            if known is None:
                count += 1
                known = count
            own[track] = known
        numbers.append(own)
    return numbers


def _matches(tail: _Seen, head: _Seen) -> dict[int, int]:
    """Map tracks after a boundary to those before it; the most frequent pairs are matched first."""
    votes: defaultdict[tuple[int, int], float] = defaultdict(float)
    for pts in tail.keys() & head.keys():
        for before, box in tail[pts].items():
            for after, other in head[pts].items():
                overlap = _overlap(box, other)
                if overlap >= _SAME_FACE:
                    votes[before, after] += overlap
    matched: dict[int, int] = {}
    for before, after in sorted(votes, key=lambda pair: (-votes[pair], pair)):
        if after not in matched and before not in matched.values():
            matched[after] = before
    return matched


def _overlap(a: Box, b: Box) -> float:
    """Return the intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return both / (areas - both)


def _listed(seen: _Seen) -> list[list[Any]]:
    return [
        [pts, [[track, *(round(float(side), 2) for side in box)] for track, box in faces.items()]]
        for pts, faces in seen.items()
    ]


def _mapped(listed: Sequence[Sequence[Any]]) -> _Seen:
    return {
        pts: {track: (x0, y0, x1, y1) for track, x0, y0, x1, y1 in faces} for pts, faces in listed
    }
