"""Where faces are, and where those that are not found for a moment must be.

A detector misses a face now and then; for a node that hides faces one such frame is a failure. So a
face that was seen stays for a while, and what is hidden grows over where it may have gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nodes.types import Box, Face

__all__ = ["FaceMemory", "Spot"]


_NEAR: Final = 0.7
"""Two sightings nearer to each other than this, in face sizes, are of one face."""
_DOUBTFUL: Final = 0.2
"""Share of the time that a single find without a number is held: most of those are no faces."""
_DRIFT: Final = 0.5
"""How far a face that is not seen may have gone from where it was heading, in face sizes a
second."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in one frame that a face is in, or may be in."""

    track_id: int
    """0 while the face has no number."""
    box_xyxy_px: Box
    seen: bool
    """Whether the face was found in this very frame."""


@dataclass(slots=True)
class _Known:
    track_id: int
    box: Box
    seen_s: float
    speed_px_s: tuple[float, float]
    again: bool
    """Whether it was found before that."""


class FaceMemory:
    """Follows the faces of a video; depends on the last `2 * hold_s` seconds only."""

    def __init__(self, hold_s: float) -> None:
        """Remember faces for `hold_s` seconds after they were last found."""
        self._hold_s = hold_s
        self._known: list[_Known] = []

    def _held_s(self, known: _Known) -> float:
        sure = known.track_id or known.again
        return self._hold_s if sure else _DOUBTFUL * self._hold_s

    def update(self, time_s: float, faces: Sequence[Face]) -> list[Spot]:
        """Take note of the faces of a frame; return all places to think of.

        Args:
            time_s: of the frame; increasing.
            faces: those that were found.
        """
        kept = [k for k in self._known if time_s - k.seen_s <= self._hold_s + 1e-9]
        fresh: list[_Known] = []
        # Numbered ones first: they take what is known of the face before it had a number.
        for face in sorted(faces, key=lambda face: not face.track_id):
            before = _match(face, kept)
            if before is not None:
                kept.remove(before)
            fresh.append(_sighting(face, before, time_s))
        self._known = [*fresh, *kept]
        return [
            *(Spot(known.track_id, known.box, seen=True) for known in fresh),
            *(
                Spot(k.track_id, _reach(k, time_s - k.seen_s), seen=False)
                for k in kept
                if time_s - k.seen_s <= self._held_s(k) + 1e-9
            ),
        ]


def _match(face: Face, known: Sequence[_Known]) -> _Known | None:
    """Return what is known of a face: by its number, else by its place."""
    same = [k for k in known if face.track_id and k.track_id == face.track_id]
    if same:
        return same[0]
    # A number that differs is another face's, however near: both stay hidden.
    free = [k for k in known if not (face.track_id and k.track_id)]
    near = [k for k in free if _distance(face.box_xyxy_px, k.box) < _NEAR]
    return min(near, key=lambda k: _distance(face.box_xyxy_px, k.box), default=None)


def _sighting(face: Face, before: _Known | None, time_s: float) -> _Known:
    box, speed = face.box_xyxy_px, (0.0, 0.0)
    if before is not None:
        (x, y), (was_x, was_y) = _centre(box), _centre(before.box)
        passed_s = time_s - before.seen_s
        speed = (x - was_x) / passed_s, (y - was_y) / passed_s
    # A face that loses its number for a moment is still the face that must, or must not, be hidden.
    track_id = face.track_id or (before.track_id if before is not None else 0)
    return _Known(track_id, box, time_s, speed, again=before is not None)


def _reach(known: _Known, passed_s: float) -> Box:
    """Return the box of all places that a face may be in by now: where it was, and would be."""
    x0, y0, x1, y1 = known.box
    dx, dy = (speed * passed_s for speed in known.speed_px_s)
    # No further than its own size: a jump between two sightings is no speed to go on with.
    dx, dy = _limited(dx, x1 - x0), _limited(dy, y1 - y0)
    grown = _DRIFT * passed_s * max(x1 - x0, y1 - y0)
    return (
        min(x0, x0 + dx) - grown,
        min(y0, y0 + dy) - grown,
        max(x1, x1 + dx) + grown,
        max(y1, y1 + dy) + grown,
    )


def _limited(value: float, most: float) -> float:
    return max(-most, min(most, value))


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _distance(one: Box, other: Box) -> float:
    """Return how far the middles of two boxes are from each other, in sizes of the smaller one."""
    (ax, ay), (bx, by) = _centre(one), _centre(other)
    size = min(max(box[2] - box[0], box[3] - box[1]) for box in (one, other))
    return math.hypot(ax - bx, ay - by) / max(size, 1e-6)
