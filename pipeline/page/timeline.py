"""When each face was there, and what was done to it then."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["Span", "State", "TrackTimes", "merge_short_spans", "read_times", "track_times"]

State = Literal["restored", "left alone", "restored in part"]

_GAP_S: Final = 0.5
"""A face that is gone for less is drawn as if it had stayed: nobody could see the gap."""
_SPANS_PER_VIDEO: Final = 20_000
_SPANS_PER_ROW: Final = 400
"""Spans that fit side by side in the row of a face, which is about 1000 pixels wide."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a face was there, and what was done to it."""

    start_s: float
    end_s: float
    state: State


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
    spans: dict[int, list[Span]] = defaultdict(list)
    eyes: dict[int, list[float]] = defaultdict(list)
    gates: dict[int, Counter[str]] = defaultdict(Counter)
    for track_id, time_s, gate, eyes_px in _checked(rows):
        own, state = spans[track_id], _state(gate)
        eyes[track_id].append(eyes_px)
        if gate is not None:
            gates[track_id][gate] += 1
        if own and own[-1].state == state and time_s - own[-1].end_s <= _GAP_S:
            own[-1] = Span(own[-1].start_s, time_s, state)
        else:
            own.append(Span(time_s, time_s, state))
    return [
        TrackTimes(
            number,
            tuple(spans[number]),
            (min(eyes[number]), max(eyes[number])),
            dict(gates[number].most_common()),
        )
        for number in sorted(spans)
    ]


def merge_short_spans(tracks: Sequence[TrackTimes]) -> list[TrackTimes]:
    """Return the times as they are drawn: spans too short to tell apart become one.

    Longer ones keep their exact times. The number of spans is limited whatever a video holds: a
    face that is left alone in every tenth frame of a long film would have thousands.
    """
    if not tracks:
        return []
    start_s = min(track.start_s for track in tracks)
    end_s = max(track.spans[-1].end_s for track in tracks)
    most = min(_SPANS_PER_ROW, max(1, _SPANS_PER_VIDEO // len(tracks)))
    step_s = (end_s - start_s) / most
    return [replace(track, spans=_merged(track.spans, step_s)) for track in tracks]


def _merged(spans: Sequence[Span], step_s: float) -> tuple[Span, ...]:
    merged: list[Span] = []
    last_is_short = False
    for span in spans:
        short = span.end_s - span.start_s < step_s
        if short and last_is_short and span.start_s - merged[-1].end_s < step_s:
            last = merged[-1]
            state = last.state if last.state == span.state else "restored in part"
            merged[-1] = Span(last.start_s, span.end_s, state)
        else:
            merged.append(span)
        last_is_short = short
    return tuple(merged)


def _state(gate: str | None) -> State:
    return "restored" if gate is None else "left alone"


def _checked(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, float, str | None, float]]:
    for row in rows:
        try:
            number, gate = int(row["track_id"]), row["gate"]
            values = float(row["time_s"]), float(row["eye_distance_px"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"a row of a face lacks {error}") from error
        if number:
            yield number, values[0], None if gate is None else str(gate), values[1]
