"""Tracker: who is who, when a track is believed, and when it ends. No pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nodes.track.appearance import Appearance, appearance_of
from nodes.track.detector import Detection
from nodes.track.tracker import Tracker, TrackerParams, suppress_overlaps
from tests.support.faces import face_at

FRAME_S = 1 / 25


def colours(level: int) -> Appearance:
    """What a face all of one colour looks like."""
    return appearance_of(np.full((40, 40, 3), level, np.uint8), (5, 5, 35, 35))


def seen(
    x_px: float,
    y_px: float,
    eyes_px: float = 10,
    score: float = 0.9,
    looks: Appearance | None = None,
    shift: float = 0.03,
) -> Detection:
    face = face_at(x_px, y_px, eyes_px)
    return Detection(face.box_xyxy_px, face.points_px.astype(np.float64), score, looks, shift)


def ids(tracker: Tracker, time_s: float, *detections: Detection) -> list[int]:
    """Update, and return the track of each detection in the order given."""
    by_detection = {id(s.detection): s.track.track_id for s in tracker.update(time_s, detections)}
    return [by_detection[id(detection)] for detection in detections]


def test_numbers_start_at_one_and_stay() -> None:
    tracker = Tracker(TrackerParams())
    for frame in range(10):
        faces = seen(50 + frame, 50), seen(200 - frame, 60)
        assert ids(tracker, frame * FRAME_S, *faces) == [1, 2]


def test_order_of_detections_does_not_matter() -> None:
    tracker = Tracker(TrackerParams())
    assert ids(tracker, 0, seen(50, 50), seen(200, 60)) == [1, 2]
    assert ids(tracker, FRAME_S, seen(200, 60), seen(50, 50)) == [2, 1]


def test_crossing_faces_keep_their_numbers() -> None:
    tracker = Tracker(TrackerParams())
    for frame in range(41):
        # They pass at 18 px: less than a face's width.
        faces = seen(20 + 5 * frame, 100), seen(220 - 5 * frame, 118)
        assert ids(tracker, frame * FRAME_S, *faces) == [1, 2]


def test_the_pair_with_the_least_total_cost_wins() -> None:
    """Greedy matching would give the nearest pair first and leave a new track over."""
    tracker = Tracker(TrackerParams())
    assert ids(tracker, 0, seen(100, 50), seen(116, 50)) == [1, 2]
    assert ids(tracker, FRAME_S, seen(114, 50), seen(131, 50)) == [1, 2]


def test_a_short_gap_keeps_the_number_and_reports_nothing_meanwhile() -> None:
    tracker = Tracker(TrackerParams(max_gap_s=0.5))
    ids(tracker, 0, seen(50, 50))
    for frame in range(1, 11):
        assert tracker.update(frame * FRAME_S, []) == []
    assert ids(tracker, 0.44, seen(52, 50)) == [1]


def test_a_long_gap_gives_a_new_number() -> None:
    tracker = Tracker(TrackerParams(max_gap_s=0.5))
    ids(tracker, 0, seen(50, 50))
    for frame in range(1, 15):
        tracker.update(frame * FRAME_S, [])
    assert ids(tracker, 0.6, seen(50, 50)) == [2]


@pytest.mark.parametrize("step_s", [0.04, 1.0, 5.0, 60.0])
def test_a_face_keeps_its_number_at_any_frame_rate(step_s: float) -> None:
    tracker = Tracker(TrackerParams())
    for frame in range(20):
        face = seen(50 + 2 * frame, 50, looks=colours(100))
        assert ids(tracker, frame * step_s, face) == [1]


@pytest.mark.parametrize("missed", [1, 3])
def test_a_face_that_is_missed_in_slow_film_keeps_its_number(missed: int) -> None:
    tracker = Tracker(TrackerParams())
    assert ids(tracker, 0, seen(50, 50, looks=colours(100))) == [1]
    for frame in range(1, 1 + missed):
        tracker.update(5.0 * frame, [])
    later_s = 5.0 * (1 + missed)
    assert ids(tracker, later_s, seen(60, 50, looks=colours(100))) == [1]


def test_slow_film_does_not_remember_for_ever() -> None:
    tracker = Tracker(TrackerParams())
    ids(tracker, 0, seen(50, 50, looks=colours(100)))
    for frame in range(1, 10):
        tracker.update(5.0 * frame, [])
    assert ids(tracker, 50.0, seen(50, 50, looks=colours(100))) == [2]


def test_of_people_who_walk_far_between_two_pictures_each_keeps_the_number_of_its_colours() -> None:
    tracker = Tracker(TrackerParams())
    dark, bright = colours(40), colours(200)
    assert ids(tracker, 0, seen(50, 50, looks=dark), seen(250, 50, looks=bright)) == [1, 2]
    both = seen(120, 50, looks=bright), seen(180, 50, looks=dark)
    assert ids(tracker, 5.0, *both) == [2, 1]


def hidden(tracker: Tracker, *, looks: Appearance, speed_px: float = 0) -> None:
    """Show a face at (50, 50) that goes to the right until 0.4 s, and then none until 1 s."""
    for frame in range(11):
        tracker.update(frame * FRAME_S, [seen(50 + speed_px * frame, 50, looks=looks)])
    for frame in range(11, 25):
        tracker.update(frame * FRAME_S, [])


@pytest.mark.parametrize(
    ("x_px", "level", "expected"), [(60, 100, 1), (60, 230, 2), (160, 100, 2), (-40, 100, 2)]
)
def test_a_face_that_was_hidden_is_known_by_place_and_colours(
    x_px: float, level: int, expected: int
) -> None:
    tracker = Tracker(TrackerParams())
    hidden(tracker, looks=colours(100))
    assert tracker.live(1.0) == []
    assert ids(tracker, 1.0, seen(x_px, 50, looks=colours(level))) == [expected]


def test_a_face_that_walks_behind_something_is_expected_on_its_way() -> None:
    tracker = Tracker(TrackerParams())
    hidden(tracker, looks=colours(100), speed_px=5)
    assert ids(tracker, 1.0, seen(175, 50, looks=colours(100))) == [1]


def test_a_face_that_comes_back_is_not_smoothed_towards_where_it_was() -> None:
    tracker = Tracker(TrackerParams())
    hidden(tracker, looks=colours(100))
    back = seen(62, 50, looks=colours(100))
    (sighting,) = tracker.update(1.0, [back])
    assert sighting.track.track_id == 1
    assert sighting.points_px == pytest.approx(back.points_px)


def test_of_two_near_faces_each_keeps_the_number_of_its_colours() -> None:
    """By place alone the first would get the nearer one."""
    tracker = Tracker(TrackerParams())
    dark, bright = colours(40), colours(200)
    assert ids(tracker, 0, seen(50, 50, looks=dark), seen(62, 50, looks=bright)) == [1, 2]
    both = seen(55, 50, looks=bright), seen(58, 50, looks=dark)
    assert ids(tracker, FRAME_S, *both) == [2, 1]


def test_a_face_is_forgotten_after_a_while() -> None:
    tracker = Tracker(TrackerParams(remember_s=2))
    hidden(tracker, looks=colours(100))
    for frame in range(25, 62):
        tracker.update(frame * FRAME_S, [])
    assert ids(tracker, 2.5, seen(50, 50, looks=colours(100))) == [2]


def test_a_far_or_differently_sized_face_is_another() -> None:
    tracker = Tracker(TrackerParams())
    ids(tracker, 0, seen(50, 50))
    assert ids(tracker, FRAME_S, seen(90, 50)) == [2]
    assert ids(tracker, 2 * FRAME_S, seen(50, 50, eyes_px=60)) == [3]


def test_a_sure_face_is_confirmed_at_once_and_others_after_some_hits() -> None:
    tracker = Tracker(TrackerParams(confirm_hits=3))
    confirmed = [
        tuple(
            sighting.track.confirmed
            for sighting in tracker.update(
                frame * FRAME_S, [seen(50, 50, score=0.9), seen(200, 50, score=0.75)]
            )
        )
        for frame in range(4)
    ]
    assert confirmed == [(True, False), (True, False), (True, True), (True, True)]


def confirmed_after(*looks: Detection) -> list[bool]:
    """Return after each look at one place whether it counts as a face."""
    tracker = Tracker(TrackerParams())
    return [
        sighting.track.confirmed
        for frame, look in enumerate(looks)
        for sighting in tracker.update(frame * FRAME_S, [look])
    ]


def living(look: Detection, count: int) -> list[Detection]:
    """Return looks whose scores differ a little from frame to frame."""
    return [replace(look, score=look.score + 0.03 * (-1) ** frame) for frame in range(count)]


@pytest.mark.parametrize(
    ("score", "shift", "width_px", "believed"),
    [
        (0.93, 0.04, 60, True),  # looks at the camera
        (0.72, 0.11, 20, True),  # the same, small
        (0.77, 0.23, 28, False),  # a logo
        (0.72, 0.18, 40, False),  # another
        (0.65, 0.14, 64, False),  # a toy
        (0.71, 0.15, 20, False),  # a bear
        (0.63, 0.14, 19, False),  # a flower
    ],
)
def test_what_looks_at_the_camera_must_have_a_high_score_and_a_mirror_image_alike(
    score: float, shift: float, width_px: float, believed: bool
) -> None:
    look = seen(100, 100, width_px / 2.4, score, shift=shift)
    assert confirmed_after(*living(look, 20))[-1] == believed


@pytest.mark.parametrize(("score", "believed"), [(0.70, False), (0.79, True)])
def test_what_looks_the_same_in_every_frame_must_be_more_like_a_face(
    score: float, believed: bool
) -> None:
    look = seen(100, 100, 60 / 2.4, score, shift=0.04)
    assert confirmed_after(*[look] * 20)[-1] == believed
    assert confirmed_after(*living(look, 20))[-1]


@pytest.mark.parametrize("other_score", [0.63, 0.79])
@pytest.mark.parametrize("others", [1, 2])
def test_what_looks_the_same_in_nearly_all_frames_is_no_living_face(
    other_score: float, others: int
) -> None:
    look = seen(100, 100, 60 / 2.4, 0.70, shift=0.04)
    other = replace(look, score=other_score)
    assert not any(confirmed_after(*[look] * 6, *[other] * others, *[look] * 20))


def test_a_face_in_profile_needs_less() -> None:
    points = seen(100, 100, 20, 0.7, shift=0.1)
    turned = replace(points, points_px=(points.points_px - (100, 0)) * (0.4, 1) + (100, 0))
    assert confirmed_after(*[points] * 20)[-1] is False
    assert confirmed_after(*living(turned, 3))[-1] is True


def test_a_face_is_believed_once_it_is_seen_well_for_a_while() -> None:
    poor, good = seen(100, 100, 20, 0.65, shift=0.12), seen(100, 100, 20, 0.78, shift=0.04)
    believed = confirmed_after(*living(poor, 10), *living(good, 8))
    assert believed.index(True) in range(14, 18)


def test_one_good_look_among_poor_ones_is_not_enough() -> None:
    poor, good = seen(100, 100, 20, 0.65, shift=0.12), seen(100, 100, 20, 0.8, shift=0.06)
    assert not any(confirmed_after(*[poor, poor, poor, good] * 5))


def test_what_was_seen_often_enough_but_is_not_like_a_face_is_said_to_be_so() -> None:
    tracker = Tracker(TrackerParams())
    unlike = seen(100, 100, 20, 0.65, shift=0.15)
    unlikely = [
        sighting.unlikely
        for frame in range(5)
        for sighting in tracker.update(frame * FRAME_S, [unlike])
    ]
    assert unlikely == [False, False, True, True, True]


def test_what_is_seen_only_now_and_then_is_not_believed() -> None:
    tracker = Tracker(TrackerParams(confirm_hits=3))
    for frame in range(30):
        glimpsed = [] if frame % 3 == 2 else [seen(50, 50, score=0.7)]
        sightings = tracker.update(frame * FRAME_S, glimpsed)
        assert all(not sighting.track.confirmed for sighting in sightings)
    assert len(tracker.live(29 * FRAME_S)) == 1


def test_what_is_not_believed_uses_up_no_number() -> None:
    tracker = Tracker(TrackerParams(confirm_hits=3))
    unsure = seen(200, 50, score=0.75)
    numbers = [ids(tracker, frame * FRAME_S, unsure) for frame in range(2)]
    numbers.append(ids(tracker, 2 * FRAME_S, unsure, seen(50, 50)))
    numbers.append(ids(tracker, 3 * FRAME_S, seen(350, 50, score=0.75), unsure))
    assert numbers == [[0], [0], [1, 2], [0, 1]]


def test_a_believed_face_stays_believed_after_a_gap() -> None:
    tracker = Tracker(TrackerParams(confirm_hits=3))
    for frame in range(3):
        tracker.update(frame * FRAME_S, [seen(50, 50, score=0.75)])
    tracker.update(3 * FRAME_S, [])
    (sighting,) = tracker.update(4 * FRAME_S, [seen(50, 50, score=0.75)])
    assert sighting.track.confirmed


def test_a_cut_forgets_faces_but_not_numbers() -> None:
    tracker = Tracker(TrackerParams())
    ids(tracker, 0, seen(50, 50))
    tracker.cut()
    assert tracker.live(FRAME_S) == []
    (sighting,) = tracker.update(FRAME_S, [seen(51, 50)])
    assert sighting.track.track_id == 2
    # Not smoothed towards the face before the cut.
    assert sighting.points_px == pytest.approx(seen(51, 50).points_px)


def test_points_are_smoothed_within_a_track() -> None:
    tracker = Tracker(TrackerParams())
    rng = np.random.default_rng(0)
    raw, smooth = [], []
    for frame in range(100):
        x, y = rng.normal(50, 0.3, 2)
        raw.append(x)
        (sighting,) = tracker.update(frame * FRAME_S, [seen(x, y)])
        smooth.append(sighting.points_px[:2, 0].mean())
    assert np.std(np.diff(smooth)) < 0.5 * np.std(np.diff(raw))


def test_expected_place_follows_the_motion() -> None:
    tracker = Tracker(TrackerParams())
    for frame in range(6):
        tracker.update(frame * FRAME_S, [seen(50 + 4 * frame, 50)])
    (track,) = tracker.live(6 * FRAME_S)
    x0, _, x1, _ = track.expected_box(6 * FRAME_S)
    assert (x0 + x1) / 2 == pytest.approx(50 + 4 * 6, abs=0.5)


def test_duplicates_are_dropped_and_the_first_stays() -> None:
    a, b, c = seen(50, 50, score=0.7), seen(53, 51, score=0.9), seen(90, 50)
    assert suppress_overlaps([a, b, c]) == [a, c]
