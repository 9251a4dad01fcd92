"""When each face was there, and what was done to it then."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Span", "TrackTimes", "read_times", "track_times"]

_GAP_S: Final = 0.5
"""A face that is gone for less is drawn as if it had stayed: nobody could see the gap."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a face was there, restored or left alone throughout."""

    start_s: float
    end_s: float
    restored: bool


@dataclass(frozen=True, slots=True)
class TrackTimes:
    """The times of one face."""

    track_id: int
    spans: tuple[Span, ...]
    eyes_px: tuple[float, float]
    """The least and the greatest distance between the eyes."""
    left_alone: dict[str, int]
    """Why it was left alone, as `tracks.jsonl` says it -> in how many frames."""

    @property
    def start_s(self) -> float:
        """When it was first seen."""
        return self.spans[0].start_s


@dataclass(slots=True)
class _Open:
    """A span that may go on."""

    start_s: float
    end_s: float
    restored: bool


def read_times(rows: Path) -> list[TrackTimes]:
    """Return the times of each face of a `tracks.jsonl`, by number.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is not a row.
    """
    with rows.open(encoding="utf-8") as lines:
        return track_times(json.loads(line) for line in lines)


def track_times(rows: Iterable[dict[str, Any]]) -> list[TrackTimes]:
    """Return the times of each face, by number; without those that were never confirmed.

    Raises:
        ValueError: a row lacks something.
    """
    spans: dict[int, list[_Open]] = defaultdict(list)
    eyes: dict[int, list[float]] = defaultdict(list)
    gates: dict[int, Counter[str]] = defaultdict(Counter)
    for track_id, time_s, gate, eyes_px in _checked(rows):
        own, restored = spans[track_id], gate is None
        eyes[track_id].append(eyes_px)
        if gate is not None:
            gates[track_id][gate] += 1
        if own and own[-1].restored == restored and time_s - own[-1].end_s <= _GAP_S:
            own[-1].end_s = time_s
        else:
            own.append(_Open(time_s, time_s, restored))
    return [
        TrackTimes(
            number,
            tuple(Span(span.start_s, span.end_s, span.restored) for span in spans[number]),
            (min(eyes[number]), max(eyes[number])),
            dict(gates[number].most_common()),
        )
        for number in sorted(spans)
    ]


def _checked(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, float, str | None, float]]:
    for row in rows:
        try:
            number, gate = int(row["track_id"]), row["gate"]
            values = float(row["time_s"]), float(row["eye_distance_px"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"a row of a face lacks {error}") from error
        if number:
            yield number, values[0], None if gate is None else str(gate), values[1]
