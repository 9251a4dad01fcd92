"""Which detection is which face: association, identities, confirmation. Pure decisions, no pixels.

Assignment is SciPy's (Hungarian); what is ours is the cost: how far a detection lies from where
its track was going, in face sizes, how much its size changed, and how unlike its colours are. A
face that was lost for long is remembered: it gets its number back if it comes back near enough and
looks alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from nodes.track.appearance import Appearance, mix, unlikeness
from nodes.track.detector import Detection
from nodes.track.one_euro import OneEuroFilter, OneEuroParams
from nodes.track.views import Square
from nodes.types import Box

__all__ = ["Sighting", "Track", "Tracker", "TrackerParams", "suppress_overlaps"]

_FORBIDDEN: Final = 1e6
_SAME_FACE_OVERLAP: Final = 0.4
"""Intersection over the smaller box from which two detections are one face."""
_COASTING_S: Final = 0.2
"""How long a face is expected to go on as it went: faces stop and turn more often than they cross
the picture."""
_LEARNING_S: Final = 0.4
"""Time in which what a face is remembered to look like follows what it looks like now."""
_VELOCITY_S: Final = 0.06
"""Time in which the velocity follows that between two frames: for the next frame ..."""
_GAIT_S: Final = 0.5
"""... and for a face that was hidden: half hidden, its visible part had slowed down."""
_REACH: Final = (1.0, 2.0)
"""How far from its way, in face sizes, a hidden face may come back: at once, and more a second."""


@dataclass(frozen=True, slots=True)
class TrackerParams:
    """When tracks start, are believed, and end."""

    max_gap_s: float = 0.5
    """A face not seen for longer is no longer looked for where it was."""
    remember_s: float = 3.0
    """A believed face that comes back in this time, near enough and looking alike, is the same."""
    confirm_score: float = 0.8
    """One detection this sure confirms its track at once: a face in the first frame counts."""
    confirm_hits: int = 3
    """So many detections in successive updates confirm a track whatever their scores: what is no
    face is seen now and then, a face again and again."""
    max_cost: float = 0.8
    """Farthest a detection may lie from its track's expected place, in face sizes."""
    unlikeness_weight: float = 0.5
    """Face sizes that wholly other colours count for."""
    max_unlikeness: float = 0.4
    """Most that the colours of a face that comes back may differ."""
    smoothing: OneEuroParams = field(default_factory=OneEuroParams)


@dataclass(slots=True)
class Track:
    """One face followed through time."""

    last: Detection
    last_seen_s: float
    smoother: OneEuroFilter
    track_id: int = 0
    """From 1, in the order in which tracks are confirmed; 0 before."""
    hits: int = 0
    """Detections; of a track that is not confirmed, those since it was last missed."""
    velocity_px_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    gait_px_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """The velocity over a longer time."""
    appearance: Appearance | None = None
    square: Square | None = None
    """Where the face was last looked for."""

    @property
    def confirmed(self) -> bool:
        """Whether it is believed to be a face."""
        return self.track_id > 0

    def expected_box(self, time_s: float) -> Box:
        """Where the face should be at `time_s`: it goes on as it went, but not for long."""
        gap_s = min(time_s - self.last_seen_s, _COASTING_S)
        return _moved(self.last.box_xyxy_px, self.velocity_px_s * gap_s)

    def unlikeness(self, found: Detection) -> float | None:
        """How much a detection's colours differ from the face's: 0 to 1, None if not known."""
        if self.appearance is None or found.appearance is None:
            return None
        return unlikeness(self.appearance, found.appearance)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A track that was seen in this frame, with its points smoothed."""

    track: Track
    detection: Detection
    points_px: npt.NDArray[np.float64]


class Tracker:
    """Holds the tracks of one stretch of video."""

    def __init__(self, params: TrackerParams) -> None:
        self._params = params
        self._tracks: list[Track] = []
        self._confirmed = 0

    def live(self, time_s: float) -> list[Track]:
        """Return the tracks seen lately enough to be looked for where they were."""
        oldest_s = time_s - self._params.max_gap_s
        return [track for track in self._tracks if track.last_seen_s >= oldest_s]

    def cut(self) -> None:
        """Forget all tracks: what follows is another scene. Numbers are not used again."""
        self._tracks.clear()

    def update(self, time_s: float, detections: Sequence[Detection]) -> list[Sighting]:
        """Give each detection to a track, or start one, and return what was seen.

        Args:
            time_s: later than before.
            detections: of one frame, without duplicates.

        Returns:
            Confirmed tracks by number, then the others.
        """
        self._expire(time_s)
        matches = self._assign(time_s, detections)
        sightings: list[Sighting] = []
        for index, detection in enumerate(detections):
            track = matches.get(index)
            if track is None:
                track = Track(detection, time_s, OneEuroFilter(self._params.smoothing))
                self._tracks.append(track)
            sightings.append(self._see(track, time_s, detection))
        for track in self._tracks:
            if track.last_seen_s < time_s and not track.confirmed:
                track.hits = 0
        return sorted(sightings, key=lambda sighting: sighting.track.track_id or math.inf)

    def _expire(self, time_s: float) -> None:
        """Drop the tracks not seen for too long."""
        gap_s = {False: self._params.max_gap_s, True: self._kept_s}
        self._tracks = [t for t in self._tracks if time_s - t.last_seen_s <= gap_s[t.confirmed]]

    @property
    def _kept_s(self) -> float:
        return max(self._params.max_gap_s, self._params.remember_s)

    def _assign(self, time_s: float, detections: Sequence[Detection]) -> dict[int, Track]:
        if not self._tracks or not detections:
            return {}
        cost = np.array([[self._cost(t, time_s, d) for d in detections] for t in self._tracks])
        rows, columns = linear_sum_assignment(cost)
        return {
            int(column): self._tracks[row]
            for row, column in zip(rows, columns, strict=True)
            if cost[row, column] < _FORBIDDEN
        }

    def _cost(self, track: Track, time_s: float, found: Detection) -> float:
        """Say how badly a detection fits a track, in face sizes; `_FORBIDDEN`: not at all."""
        params, gap_s = self._params, time_s - track.last_seen_s
        unlike = track.unlikeness(found)
        if gap_s <= params.max_gap_s:
            apart = _apart(track.expected_box(time_s), found.box_xyxy_px)
            if apart <= params.max_cost:
                return apart + params.unlikeness_weight * (unlike or 0.0)
        if not track.confirmed or unlike is None or unlike > params.max_unlikeness:
            return _FORBIDDEN
        apart = min(
            _apart(_moved(track.last.box_xyxy_px, track.gait_px_s * along), found.box_xyxy_px)
            for along in np.linspace(0, gap_s, 5)
        )
        # One that was hidden comes back only where no followed face fits: it costs more.
        reach = _REACH[0] + _REACH[1] * gap_s
        return params.max_cost + apart + unlike if apart <= reach else _FORBIDDEN

    def _see(self, track: Track, time_s: float, detection: Detection) -> Sighting:
        gap_s = time_s - track.last_seen_s
        if gap_s > self._params.max_gap_s:
            track.smoother = OneEuroFilter(self._params.smoothing)
            track.velocity_px_s = np.zeros(2)
        elif gap_s > 0:
            velocity = (_centre(detection.box_xyxy_px) - _centre(track.last.box_xyxy_px)) / gap_s
            track.velocity_px_s += _share(gap_s, _VELOCITY_S) * (velocity - track.velocity_px_s)
            track.gait_px_s += _share(gap_s, _GAIT_S) * (velocity - track.gait_px_s)
            learnt = mix(track.appearance, detection.appearance, _share(gap_s, _LEARNING_S))
            track.appearance = learnt
        else:
            track.appearance = detection.appearance
        track.last, track.last_seen_s = detection, time_s
        track.hits += 1
        sure = detection.score >= self._params.confirm_score
        if not track.confirmed and (sure or track.hits >= self._params.confirm_hits):
            self._confirmed += 1
            track.track_id = self._confirmed
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


def _apart(expected: Box, seen: Box) -> float:
    """Return how far two boxes lie apart, in face sizes, and how much their sizes differ."""
    size_a, size_b = expected[2] - expected[0], seen[2] - seen[0]
    if size_a <= 0 or size_b <= 0:
        return _FORBIDDEN
    distance = float(np.hypot(*(_centre(expected) - _centre(seen))))
    return 2 * distance / (size_a + size_b) + 0.5 * abs(math.log(size_a / size_b))


def _moved(box: Box, by_px: npt.NDArray[np.float64]) -> Box:
    x, y = float(by_px[0]), float(by_px[1])
    return (box[0] + x, box[1] + y, box[2] + x, box[3] + y)


def _share(passed_s: float, time_s: float) -> float:
    """Return how far something that follows within `time_s` has come after `passed_s`."""
    return 1 - math.exp(-passed_s / time_s)


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
