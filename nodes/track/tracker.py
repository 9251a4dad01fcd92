"""Assigning detections to tracks, confirming tracks and keeping their numbers.

Assignment is SciPy's `linear_sum_assignment`. The cost is the distance of a detection from its
track's expected position, in face sizes, plus terms for the change of size and the difference of
colours. A face that was lost for longer gets its number back if it reappears near enough with
similar colours.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from nodes.track.appearance import Appearance, mix, unlikeness
from nodes.track.detector import Detection
from nodes.track.likeness import SURE_LIKENESS, is_like_a_face, likeness
from nodes.track.one_euro import OneEuroFilter, OneEuroParams
from nodes.track.views import Square
from nodes.types import Box

__all__ = ["REMEMBER_FRAMES", "Sighting", "Track", "Tracker", "TrackerParams", "suppress_overlaps"]

MAX_GAP_FRAMES: Final = 2
REMEMBER_FRAMES: Final = 6
"""Memory in frames, for film with few of them: at one in 5 s, seconds end before the next frame."""

LOOKS: Final = 8
"""Detections of which the mean likeness is taken: with all, a face that is seen well for a while is
not confirmed; with three, many a false one is."""

_FORBIDDEN: Final = 1e6
_SAME_FACE_OVERLAP: Final = 0.4
"""Least intersection over the smaller box of two detections of one face."""
_COASTING_S: Final = 0.2
"""Time constant over which the expected motion stops: faces stop and turn more often than they
cross the picture."""
_LEARNING_S: Final = 0.4
"""Time constant of a track's colours."""
_MOST_LEARNT: Final = 0.5
"""Largest share of one detection in them, for film with few frames."""
_VELOCITY_S: Final = 0.06
"""Time constant of the velocity that is used for the next frame."""
_GAIT_S: Final = 0.5
"""Time constant of the velocity that is used for a hidden face: the visible part of a face seems to
slow down while it is covered."""
_REACH: Final = (1.0, 2.0)
"""Largest distance of a reappearing face from its expected position, in face sizes: at once, and
its growth per second."""


@dataclass(frozen=True, slots=True)
class TrackerParams:
    """When tracks start, are confirmed, and end."""

    max_gap_s: float = 0.5
    """A face that was not seen for longer, and for more than `MAX_GAP_FRAMES`, is no longer
    searched at its expected position."""
    remember_s: float = 3.0
    """A confirmed face that reappears within this time, or within `REMEMBER_FRAMES`, near enough
    and with similar colours, keeps its number."""
    confirm_hits: int = 3
    """Least number of detections in successive updates that confirm a track, if the mean of the
    last `LOOKS` is like a face (`nodes.track.likeness`). A sure one is confirmed at once."""
    max_cost: float = 0.8
    """Largest distance of a detection from its track's expected position, in face sizes."""
    unlikeness_weight: float = 0.5
    """Cost of entirely different colours, in face sizes."""
    max_unlikeness: float = 0.4
    """Largest difference of colours of a reappearing face."""
    smoothing: OneEuroParams = field(default_factory=OneEuroParams)


@dataclass(slots=True)
class Track:
    """One face over time."""

    last: Detection
    last_seen_s: float
    last_frame: int
    """Number of the frame in which it was last seen."""
    smoother: OneEuroFilter
    track_id: int = 0
    """From 1, in the order of confirmation; 0 before."""
    hits: int = 0
    """Number of detections; before confirmation, those since it was last missed."""
    likenesses: deque[float] = field(default_factory=lambda: deque[float](maxlen=LOOKS))
    """Likeness of the last detections to a face, until it is confirmed."""
    velocity_px_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    gait_px_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """Velocity, averaged over a longer time."""
    appearance: Appearance | None = None
    square: Square | None = None
    """The square in which the face was last searched."""

    @property
    def confirmed(self) -> bool:
        """Whether it has enough detections to count as a face."""
        return self.track_id > 0

    def expected_box(self, time_s: float) -> Box:
        """Return the expected box at `time_s`: the motion continues, but fades."""
        gap_s = min(time_s - self.last_seen_s, _COASTING_S)
        x_px_s, y_px_s = self.velocity_px_s.tolist()
        return _moved(self.last.box_xyxy_px, x_px_s * gap_s, y_px_s * gap_s)

    def unlikeness(self, found: Detection) -> float | None:
        """Return the difference of a detection's colours, 0 to 1; None if unknown."""
        if self.appearance is None or found.appearance is None:
            return None
        return unlikeness(self.appearance, found.appearance)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A track that was detected in this frame, with smoothed points."""

    track: Track
    detection: Detection
    points_px: npt.NDArray[np.float64]
    unlikely: bool = False
    """Whether it was seen often enough to be confirmed, but is not enough like a face."""


class Tracker:
    """The tracks of one segment."""

    def __init__(self, params: TrackerParams) -> None:
        self._params = params
        self._tracks: list[Track] = []
        self._confirmed = 0
        self._frame = 0

    def live(self, time_s: float) -> list[Track]:
        """Return the tracks seen recently enough to search them at their expected position.

        Args:
            time_s: time of the frame that `update` will be called with.
        """
        return [track for track in self._tracks if self._recent(track, time_s, self._frame + 1)]

    def cut(self) -> None:
        """Drop all tracks at a scene cut. Their numbers are not used again."""
        self._tracks.clear()

    def update(self, time_s: float, detections: Sequence[Detection]) -> list[Sighting]:
        """Assign each detection to a track, or start a new one.

        Args:
            time_s: time of the frame, later than in the previous call.
            detections: of one frame, without duplicates.

        Returns:
            The tracks that were detected: confirmed ones by number, then the others.
        """
        self._frame += 1
        self._expire(time_s)
        matches = self._assign(time_s, detections)
        sightings: list[Sighting] = []
        for index, detection in enumerate(detections):
            track = matches.get(index)
            if track is None:
                smoother = OneEuroFilter(self._params.smoothing)
                track = Track(detection, time_s, self._frame, smoother)
                self._tracks.append(track)
            sightings.append(self._see(track, time_s, detection))
        for track in self._tracks:
            if track.last_seen_s < time_s and not track.confirmed:
                track.hits = 0
        return sorted(sightings, key=lambda sighting: sighting.track.track_id or math.inf)

    def _expire(self, time_s: float) -> None:
        """Drop tracks that were not seen for too long."""
        params = self._params
        kept_s = max(params.max_gap_s, params.remember_s)
        self._tracks = [
            track
            for track in self._tracks
            if self._recent(track, time_s, self._frame)
            or (track.confirmed and _within(track, time_s, kept_s, self._frame, REMEMBER_FRAMES))
        ]

    def _recent(self, track: Track, time_s: float, frame: int) -> bool:
        """Return whether a track was seen so recently that its position is still expected."""
        return _within(track, time_s, self._params.max_gap_s, frame, MAX_GAP_FRAMES)

    def _assign(self, time_s: float, detections: Sequence[Detection]) -> dict[int, Track]:
        if not self._tracks or not detections:
            return {}
        cost = np.array([[self._cost(t, time_s, d) for d in detections] for t in self._tracks])
        return {column: self._tracks[row] for row, column in _pairs(cost)}

    def _cost(self, track: Track, time_s: float, found: Detection) -> float:
        """Return the cost of assigning a detection to a track, in face sizes, or `_FORBIDDEN`."""
        params, gap_s = self._params, time_s - track.last_seen_s
        if self._recent(track, time_s, self._frame):
            apart = _apart(track.expected_box(time_s), found.box_xyxy_px)
            if apart <= params.max_cost:
                return apart + params.unlikeness_weight * (track.unlikeness(found) or 0.0)
        if not track.confirmed:
            return _FORBIDDEN
        (x_px_s, y_px_s), box = track.gait_px_s.tolist(), track.last.box_xyxy_px
        apart = min(
            _apart(_moved(box, x_px_s * after_s, y_px_s * after_s), found.box_xyxy_px)
            for after_s in (quarter * gap_s / 4 for quarter in range(5))
        )
        # Higher than for any visible track, so that hidden faces are matched last.
        if apart > _REACH[0] + _REACH[1] * gap_s:
            return _FORBIDDEN
        unlike = track.unlikeness(found)
        if unlike is None or unlike > params.max_unlikeness:
            return _FORBIDDEN
        return params.max_cost + apart + unlike

    def _see(self, track: Track, time_s: float, detection: Detection) -> Sighting:
        gap_s = time_s - track.last_seen_s
        learnt = min(_share(gap_s, _LEARNING_S), _MOST_LEARNT)
        track.appearance = mix(track.appearance, detection.appearance, learnt)
        if not self._recent(track, time_s, self._frame):
            track.smoother = OneEuroFilter(self._params.smoothing)
            track.velocity_px_s = np.zeros(2)
        elif gap_s > 0:
            velocity = (_centre(detection.box_xyxy_px) - _centre(track.last.box_xyxy_px)) / gap_s
            track.velocity_px_s += _share(gap_s, _VELOCITY_S) * (velocity - track.velocity_px_s)
            track.gait_px_s += _share(gap_s, _GAIT_S) * (velocity - track.gait_px_s)
        track.last, track.last_seen_s, track.last_frame = detection, time_s, self._frame
        track.hits += 1
        if not track.confirmed:
            track.likenesses.append(likeness(detection))
            if self._is_face(track):
                self._confirmed += 1
                track.track_id = self._confirmed
        eyes = detection.points_px[1] - detection.points_px[0]
        unit_px = max(1.0, float(np.hypot(*eyes)))
        points_px = track.smoother(time_s, detection.points_px, unit_px)
        unlikely = not track.confirmed and track.hits >= self._params.confirm_hits
        return Sighting(track, detection, points_px, unlikely)

    def _is_face(self, track: Track) -> bool:
        """Return whether the evidence of its detections is enough."""
        if track.likenesses[-1] >= SURE_LIKENESS:
            return True
        left, _, right, _ = track.last.box_xyxy_px
        return track.hits >= self._params.confirm_hits and is_like_a_face(
            track.likenesses, right - left
        )


def suppress_overlaps(detections: Sequence[Detection]) -> list[Detection]:
    """Keep the first of overlapping detections; pass the better ones first."""
    kept: list[Detection] = []
    for detection in detections:
        box = detection.box_xyxy_px
        if all(_overlap(box, other.box_xyxy_px) < _SAME_FACE_OVERLAP for other in kept):
            kept.append(detection)
    return kept


def _pairs(cost: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the rows and columns of the cheapest assignment, without those that are forbidden."""
    allowed = cost < _FORBIDDEN
    if (allowed.sum(axis=0) <= 1).all() and (allowed.sum(axis=1) <= 1).all():
        rows, columns = np.nonzero(allowed)  # nobody competes, as in most videos
    else:
        # Takes 50 MiB with all that it imports.
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(cost)
        chosen = allowed[rows, columns]
        rows, columns = rows[chosen], columns[chosen]
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _within(track: Track, time_s: float, gap_s: float, frame: int, gap_frames: int) -> bool:
    """Return whether a track was seen at most so long, or so many frames, before a frame."""
    return time_s - track.last_seen_s <= gap_s or frame - track.last_frame <= gap_frames


def _apart(expected: Box, seen: Box) -> float:
    """Return the distance of two boxes in face sizes, plus a term for their ratio of sizes."""
    size_a, size_b = expected[2] - expected[0], seen[2] - seen[0]
    if size_a <= 0 or size_b <= 0:
        return _FORBIDDEN
    # In plain numbers: this is done for all pairs of faces.
    x, y = (
        expected[0] + expected[2] - seen[0] - seen[2],
        expected[1] + expected[3] - seen[1] - seen[3],
    )
    distance = math.hypot(x, y) / 2
    return 2 * distance / (size_a + size_b) + 0.5 * abs(math.log(size_a / size_b))


def _moved(box: Box, x_px: float, y_px: float) -> Box:
    return (box[0] + x_px, box[1] + y_px, box[2] + x_px, box[3] + y_px)


def _share(passed_s: float, time_s: float) -> float:
    """Return the weight of a moving average with time constant `time_s` after `passed_s`."""
    return 1 - math.exp(-passed_s / time_s)


def _centre(box: Box) -> npt.NDArray[np.float64]:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def _overlap(a: Box, b: Box) -> float:
    """Return the intersection over the area of the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / smaller
