"""Which detection is which face: association, identities, confirmation. Pure decisions, no pixels.

Assignment is SciPy's (Hungarian); what is ours is the cost: how far a detection lies from where
its track was going, in face sizes, plus how much its size changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from nodes.detector import Box, Detection
from nodes.one_euro import OneEuroFilter, OneEuroParams

__all__ = ["Sighting", "Track", "Tracker", "TrackerParams", "suppress_overlaps"]

_FORBIDDEN: Final = 1e6
_SAME_FACE_OVERLAP: Final = 0.4
"""Intersection over the smaller box from which two detections are one face."""


@dataclass(frozen=True, slots=True)
class TrackerParams:
    """When tracks start, are believed, and end."""

    max_gap_s: float = 0.5
    """A face not seen for longer gets a new number."""
    confirm_score: float = 0.8
    """One detection this sure confirms its track at once: a face in the first frame counts."""
    confirm_hits: int = 3
    """So many detections in successive updates confirm a track whatever their scores: what is no
    face is seen now and then, a face again and again."""
    max_cost: float = 0.8
    """Farthest a detection may lie from its track's expected place, in face sizes."""
    smoothing: OneEuroParams = field(default_factory=OneEuroParams)


@dataclass(slots=True)
class Track:
    """One face followed through time."""

    track_id: int
    last: Detection
    last_seen_s: float
    smoother: OneEuroFilter
    hits: int = 0
    """Detections; of a track that is not confirmed, those since it was last missed."""
    confirmed: bool = False
    velocity_px_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def expected_box(self, time_s: float) -> Box:
        """Where the face should be at `time_s`: it goes on as it went, but not for long."""
        # Half a damped step: faces stop and turn more often than they cross the picture.
        gap_s = min(time_s - self.last_seen_s, 0.2)
        dx, dy = self.velocity_px_s * gap_s
        x0, y0, x1, y1 = self.last.box_xyxy_px
        return (x0 + dx, y0 + dy, x1 + dx, y1 + dy)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A track that was seen in this frame, with its points smoothed."""

    track: Track
    detection: Detection
    points_px: npt.NDArray[np.float64]


class Tracker:
    """Holds the live tracks of one stretch of video."""

    def __init__(self, params: TrackerParams) -> None:
        self._params = params
        self._tracks: list[Track] = []
        self._next_id = 1

    @property
    def live(self) -> tuple[Track, ...]:
        """Tracks that may still be seen again."""
        return tuple(self._tracks)

    def cut(self) -> None:
        """Forget all tracks: what follows is another scene. Numbers are not used again."""
        self._tracks.clear()

    def expire(self, time_s: float) -> None:
        """Drop the tracks not seen for too long."""
        oldest_s = time_s - self._params.max_gap_s
        self._tracks = [track for track in self._tracks if track.last_seen_s >= oldest_s]

    def update(self, time_s: float, detections: Sequence[Detection]) -> list[Sighting]:
        """Give each detection to a track, or start one, and return what was seen, by number.

        Args:
            time_s: later than before.
            detections: of one frame, without duplicates.
        """
        self.expire(time_s)
        matches = self._assign(time_s, detections)
        sightings: list[Sighting] = []
        for index, detection in enumerate(detections):
            track = matches.get(index)
            if track is None:
                smoother = OneEuroFilter(self._params.smoothing)
                track = Track(self._next_id, detection, time_s, smoother)
                self._next_id += 1
                self._tracks.append(track)
            sightings.append(self._see(track, time_s, detection))
        seen = {id(sighting.track) for sighting in sightings}
        for track in self._tracks:
            if id(track) not in seen and not track.confirmed:
                track.hits = 0
        return sorted(sightings, key=lambda sighting: sighting.track.track_id)

    def _assign(self, time_s: float, detections: Sequence[Detection]) -> dict[int, Track]:
        if not self._tracks or not detections:
            return {}
        boxes = [track.expected_box(time_s) for track in self._tracks]
        cost = np.array([[_cost(box, d.box_xyxy_px) for d in detections] for box in boxes])
        cost[cost > self._params.max_cost] = _FORBIDDEN
        rows, columns = linear_sum_assignment(cost)
        return {
            int(column): self._tracks[row]
            for row, column in zip(rows, columns, strict=True)
            if cost[row, column] < _FORBIDDEN
        }

    def _see(self, track: Track, time_s: float, detection: Detection) -> Sighting:
        dt_s = time_s - track.last_seen_s
        if dt_s > 0:
            velocity = (_centre(detection.box_xyxy_px) - _centre(track.last.box_xyxy_px)) / dt_s
            track.velocity_px_s = 0.5 * track.velocity_px_s + 0.5 * velocity
        track.last, track.last_seen_s = detection, time_s
        track.hits += 1
        if track.hits >= self._params.confirm_hits or detection.score >= self._params.confirm_score:
            track.confirmed = True
        eyes = detection.points_px[1] - detection.points_px[0]
        unit_px = max(1.0, float(np.hypot(*eyes)))
        return Sighting(track, detection, track.smoother(time_s, detection.points_px, unit_px))


def suppress_overlaps(detections: Sequence[Detection]) -> list[Detection]:
    """Keep the first of detections that overlap: list the better ones first."""
    kept: list[Detection] = []
    for detection in detections:
        box = detection.box_xyxy_px
        if all(_overlap(box, other.box_xyxy_px) < _SAME_FACE_OVERLAP for other in kept):
            kept.append(detection)
    return kept


def _cost(expected: Box, seen: Box) -> float:
    size_a, size_b = expected[2] - expected[0], seen[2] - seen[0]
    if size_a <= 0 or size_b <= 0:
        return _FORBIDDEN
    distance = float(np.hypot(*(_centre(expected) - _centre(seen))))
    return 2 * distance / (size_a + size_b) + 0.5 * abs(math.log(size_a / size_b))


def _centre(box: Box) -> npt.NDArray[np.float64]:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def _overlap(a: Box, b: Box) -> float:
    """Intersection over the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / smaller
