"""Which track of one segment is which of the next: by the faces that both saw in shared frames.

A tracker starts anew in each segment, but it is warmed up on frames that the segment before it has
too. Only reports and sheets use the common numbers; pixels never depend on them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["SHARED_FRAMES", "TrackEnds", "stitch"]

SHARED_FRAMES: Final = 8
"""Frames at each end of a segment whose faces are remembered."""

_SAME_FACE: Final = 0.5
"""Intersection over union from which two boxes in one frame are one face."""

_Box = tuple[float, float, float, float]
_Seen = Mapping[int, Mapping[int, _Box]]
"""pts -> track -> box."""


@dataclass(frozen=True, slots=True)
class TrackEnds:
    """What stitching needs to know of one segment."""

    tracks: tuple[int, ...]
    """Numbers of the tracks confirmed from the segment's start on."""
    head: _Seen
    """The last frames of its warm-up."""
    tail: _Seen
    """Its own last frames."""

    def as_report(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {
            "tracks": list(self.tracks),
            "head": _listed(self.head),
            "tail": _listed(self.tail),
        }

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> TrackEnds:
        """Return what `as_report` was made of."""
        return cls(tuple(report["tracks"]), _mapped(report["head"]), _mapped(report["tail"]))


def stitch(segments: Sequence[TrackEnds]) -> list[dict[int, int]]:
    """Number the tracks of a video.

    Args:
        segments: all of them, in order.

    Returns:
        For each segment, its own track number -> the video's, from 1.
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
    """Return track after the cut -> track before it, each at most once, the surest first."""
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


def _overlap(a: _Box, b: _Box) -> float:
    """Intersection over union."""
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
