"""When faces were there, by the rows of `tracks.jsonl`."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.page.timeline import Span, TrackTimes, merge_short_spans, track_times


def row(track_id: int, time_s: float, gate: str | None = None, eyes_px: float = 20) -> Any:
    return {"track_id": track_id, "time_s": time_s, "gate": gate, "eye_distance_px": eyes_px}


def test_a_face_is_drawn_in_stretches_of_one_kind() -> None:
    rows = [
        *(row(2, time / 10, eyes_px=20 + time) for time in range(5)),
        *(row(2, time / 10, "turned") for time in range(5, 8)),
        row(1, 0.1),
        row(2, 3.0, "too_small", 4),
        row(0, 0.0, "unconfirmed"),
    ]
    one, two = track_times(rows)
    assert one == TrackTimes(1, (Span(0.1, 0.1, "restored"),), (20, 20), {})
    assert two.spans == (
        Span(0.0, 0.4, "restored"),
        Span(0.5, 0.7, "left alone"),
        Span(3.0, 3.0, "left alone"),
    )
    assert two.eyes_px == (4, 24)
    assert two.left_alone == {"turned": 3, "too_small": 1}
    assert two.start_s == 0.0


def test_a_short_gap_is_none() -> None:
    (track,) = track_times([row(1, 0.0), row(1, 0.5), row(1, 1.1)])
    assert track.spans == (Span(0.0, 0.5, "restored"), Span(1.1, 1.1, "restored"))


def test_only_spans_too_short_to_draw_are_merged() -> None:
    flicker = [row(1, frame / 10, "turned" if frame % 2 else None) for frame in range(1000)]
    steady = [row(1, 100 + frame / 10) for frame in range(1000)]
    blink = [row(1, 200.0, "turned"), *(row(1, 200.1 + frame / 10) for frame in range(1000))]
    (track,) = merge_short_spans(track_times([*flicker, *steady, *blink]))
    assert track.spans == (
        Span(0.0, 99.9, "restored in part"),
        Span(100.0, 199.9, "restored"),
        Span(200.0, 200.0, "left alone"),
        Span(200.1, 300.0, "restored"),
    )
    assert track.left_alone == {"turned": 501}


def test_the_number_of_drawn_spans_is_limited() -> None:
    # Shorter and longer than what is merged, with and without gaps.
    for length_s, gap_s in [(0.01, 0.1), (0.3, 0.1), (4.0, 0.1), (0.01, 1.0), (6.0, 2.0)]:
        starts = [number * (length_s + gap_s) for number in range(1000)]
        spans = [
            Span(start_s, start_s + length_s, "left alone" if number % 2 else "restored")
            for number, start_s in enumerate(starts)
        ]
        tracks = [TrackTimes(number, tuple(spans), (9, 9), {}) for number in range(100)]
        drawn = merge_short_spans(tracks)
        assert sum(len(track.spans) for track in drawn) <= 60_000
        assert {track.spans[0].start_s for track in drawn} == {0.0}
        assert {track.spans[-1].end_s for track in drawn} == {spans[-1].end_s}
    assert merge_short_spans([]) == []


@pytest.mark.parametrize("broken", [{}, {"track_id": None}, {**row(1, 0), "time_s": []}])
def test_a_row_that_lacks_something_is_no_row(broken: Any) -> None:
    with pytest.raises(ValueError, match="a row of a face lacks"):
        track_times([broken])
