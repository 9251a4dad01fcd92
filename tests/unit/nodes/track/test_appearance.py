"""Appearance: like colours are alike, others are not, wherever the face lies."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.track.appearance import appearance_of, mix, unlikeness
from tests.support.faces import still


def test_it_is_a_share_of_each_colour() -> None:
    looks = appearance_of(np.asarray(still("face_woman.jpg")), (60, 90, 140, 170))
    assert looks.shape == (512,)
    assert looks.sum() == pytest.approx(1)


def test_one_face_in_two_places_and_sizes_is_alike_and_two_faces_are_not() -> None:
    picture = still("face_woman.jpg")
    one = appearance_of(np.asarray(picture), (60, 100, 140, 180))
    moved = appearance_of(np.asarray(picture), (63, 98, 145, 178))
    small = appearance_of(np.asarray(picture.reduce(3)), (20, 33, 47, 60))
    other = appearance_of(np.asarray(still("faces_two.jpg")), (300, 60, 380, 140))
    assert unlikeness(one, one) == pytest.approx(0, abs=1e-3)
    assert unlikeness(one, moved) < 0.15
    assert unlikeness(one, small) < 0.25
    assert unlikeness(one, other) > 0.4


def test_a_box_that_leaves_the_picture_counts_what_is_inside() -> None:
    rgb = np.full((40, 40, 3), 200, np.uint8)
    assert appearance_of(rgb, (-20, -20, 10, 10)).max() == pytest.approx(1)


def test_what_is_remembered_follows_what_is_seen() -> None:
    dark = appearance_of(np.full((9, 9, 3), 10, np.uint8), (0, 0, 9, 9))
    bright = appearance_of(np.full((9, 9, 3), 250, np.uint8), (0, 0, 9, 9))
    assert mix(None, dark, 0.5) is dark
    assert mix(dark, None, 0.5) is dark
    both = mix(dark, bright, 0.25)
    assert both is not None
    assert both.max() == pytest.approx(0.75)
    assert unlikeness(both, dark) < unlikeness(both, bright) < 1
