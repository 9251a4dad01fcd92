"""Track numbers over cuts, as sentences."""

from __future__ import annotations

import json

from nodes.reports import sum_reports
from nodes.track.stitch import TrackEnds, stitch

LEFT = (0.0, 0.0, 10.0, 10.0)
NEAR_LEFT = (1.0, 0.0, 11.0, 10.0)
RIGHT = (50.0, 0.0, 60.0, 10.0)


def test_a_face_seen_by_both_in_shared_frames_keeps_its_number() -> None:
    first = TrackEnds((1, 2), {}, {5: {1: LEFT, 2: RIGHT}})
    second = TrackEnds((1, 2, 3), {5: {1: RIGHT, 2: NEAR_LEFT}}, {})
    assert stitch([first, second]) == [{1: 1, 2: 2}, {1: 2, 2: 1, 3: 3}]


def test_numbers_go_on_through_many_segments() -> None:
    parts = [TrackEnds((n,), {n: {n: LEFT}}, {n + 1: {n: LEFT}}) for n in range(1, 6)]
    assert stitch(parts) == [{n: 1} for n in range(1, 6)]


def test_without_shared_frames_every_track_is_another() -> None:
    parts = [TrackEnds((1,), {}, {5: {1: LEFT}}), TrackEnds((1,), {6: {1: LEFT}}, {})]
    assert stitch(parts) == [{1: 1}, {1: 2}]


def test_one_face_is_never_given_to_two_tracks() -> None:
    first = TrackEnds((1,), {}, {5: {1: LEFT}, 6: {1: LEFT}})
    second = TrackEnds((1, 2), {5: {1: NEAR_LEFT, 2: LEFT}, 6: {2: LEFT}}, {})
    assert stitch([first, second]) == [{1: 1}, {1: 2, 2: 1}]


def test_a_track_that_ends_before_the_segment_starts_is_not_counted_again() -> None:
    first = TrackEnds((1,), {}, {5: {1: LEFT}})
    assert stitch([first, TrackEnds((), {5: {1: LEFT}}, {})]) == [{1: 1}, {}]


def test_it_comes_back_from_json_as_it_was() -> None:
    ends = TrackEnds((1, 2), {5: {1: LEFT}}, {7: {1: LEFT, 2: RIGHT}, 8: {}})
    assert TrackEnds.from_report(json.loads(json.dumps(ends.as_report()))) == ends


def test_reports_add_up_and_what_is_no_count_stays() -> None:
    one = {"n": 1, "s": 0.5, "by": {"a": 1}, "list": [1], "name": "x", "none": None, "b": False}
    two = {"n": 2, "s": 0.25, "by": {"b": 2}, "list": [2], "name": "x", "none": 3, "b": True}
    assert sum_reports([one, two]) == {
        "n": 3,
        "s": 0.75,
        "by": {"a": 1, "b": 2},
        "list": [1, 2],
        "name": "x",
        "none": 3,
        "b": True,
    }
    assert sum_reports([]) == {}
