"""When faces were there, by the rows of `tracks.jsonl`."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.page.timeline import Span, TrackTimes, track_times


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
    assert one == TrackTimes(1, (Span(0.1, 0.1, True),), (20, 20), {})
    assert two.spans == (Span(0.0, 0.4, True), Span(0.5, 0.7, False), Span(3.0, 3.0, False))
    assert two.eyes_px == (4, 24)
    assert two.left_alone == {"turned": 3, "too_small": 1}
    assert two.start_s == 0.0


def test_a_short_gap_is_none() -> None:
    (track,) = track_times([row(1, 0.0), row(1, 0.5), row(1, 1.1)])
    assert track.spans == (Span(0.0, 0.5, True), Span(1.1, 1.1, True))


@pytest.mark.parametrize("broken", [{}, {"track_id": None}, {**row(1, 0), "time_s": []}])
def test_a_row_that_lacks_something_is_no_row(broken: Any) -> None:
    with pytest.raises(ValueError, match="a row of a face lacks"):
        track_times([broken])
