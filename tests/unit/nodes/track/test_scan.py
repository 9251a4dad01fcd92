"""Scan: everything is looked at in time, moving places first, and cuts are noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from nodes.track.scan import (
    IDLE_LOOKS_PER_S,
    STILL_TURNED_LOOKS_PER_S,
    TURNED_LOOKS_PER_S,
    RollingScan,
    SceneCuts,
)
from nodes.track.views import Square, scan_squares

Luma = npt.NDArray[np.float32]


def luma(seed: int = 0) -> Luma:
    coarse = np.random.default_rng(seed).uniform(0.2, 0.8, (9, 16))
    return np.kron(coarse, np.ones((10, 10))).astype(np.float32)


def noise(seed: int) -> Luma:
    return np.random.default_rng(seed).normal(0, 0.01, (90, 160)).astype(np.float32)


def coded(picture: Luma) -> Luma:
    """Return it as 8 bits hold it."""
    return (np.round(np.clip(picture, 0, 1) * 255) / 255).astype(np.float32)


def from_one_side(picture: Luma) -> Luma:
    return (picture * np.linspace(0.15, 1, picture.shape[1])).astype(np.float32)


LIGHTS: dict[str, Callable[[Luma], Luma]] = {
    "a lamp goes out": lambda picture: picture * 0.3,
    "6 % light": lambda picture: picture * 0.06,
    "another exposure, clipped": lambda picture: picture * 1.6,
    "a flash": lambda picture: picture * 0.5 + 0.4,
    "gamma": lambda picture: picture**2,
    "haze": lambda picture: picture * 0.15 + 0.5,
    "a lamp to one side": from_one_side,
}


def rolling() -> tuple[RollingScan, list[Square]]:
    squares = scan_squares(640, 360, min_face_px=20, turn_deg=0)
    return RollingScan(squares, interval_s=0.5, step_px=4), squares


def test_squares_cover_the_frame_at_every_size() -> None:
    squares = scan_squares(640, 360, min_face_px=20, turn_deg=0)
    sides = sorted({square.side_px for square in squares})
    assert sides[0] <= 8 * 20 * 1.2
    assert sides[-1] == 640
    for side in sides:
        covered = np.zeros((360, 640), bool)
        for square in squares:
            if square.side_px == side:
                x, y = (c - side / 2 for c in square.centre_px)
                covered[max(0, int(y)) : int(y + side), max(0, int(x)) : int(x + side)] = True
        assert covered.all()


def test_first_frame_looks_everywhere() -> None:
    scan, squares = rolling()
    assert scan.due(0.0, luma()) == squares


def test_a_changed_picture_is_looked_through_once_an_interval() -> None:
    scan, squares = rolling()
    scan.due(0.0, luma(0))
    looked: list[Square] = []
    for frame in range(1, 28):
        due = scan.due(frame / 25, luma(frame))
        assert len(due) <= len(squares) / 2 + IDLE_LOOKS_PER_S / 4
        looked += due
    assert set(looked) == set(squares)
    assert len(looked) <= 2.5 * len(squares)


def test_what_starts_to_move_after_a_calm_is_looked_at_at_once() -> None:
    scan, _ = rolling()
    scan.due(0.0, luma())
    for frame in range(1, 50):
        scan.due(frame / 25, luma() + noise(frame))
    picture = luma() + noise(50)
    picture[10:16, 20:25] += 0.3
    due = scan.due(2.0, picture)
    assert any(
        abs(square.centre_px[0] - 90) < square.side_px / 2
        and abs(square.centre_px[1] - 52) < square.side_px / 2
        and square.side_px < 200
        for square in due
    )


@pytest.mark.parametrize("size_px", [(640, 360), (2560, 1440)])
def test_where_nothing_moves_looks_do_not_grow_with_the_picture(size_px: tuple[int, int]) -> None:
    squares = scan_squares(*size_px, min_face_px=20, turn_deg=0)
    scan = RollingScan(squares, interval_s=0.5, step_px=size_px[0] // 160)
    assert len(scan.due(0.0, luma())) == len(squares)
    looks = [scan.due(frame / 25, luma() + noise(frame)) for frame in range(1, 151)]
    assert 0 < sum(map(len, looks)) <= 6 * IDLE_LOOKS_PER_S
    assert max(map(len, looks)) <= IDLE_LOOKS_PER_S / 4


def test_squares_where_nothing_moves_take_turns() -> None:
    scan, squares = rolling()
    scan.due(0.0, luma())
    frames = range(1, 76 + round(25 * len(squares) / IDLE_LOOKS_PER_S))
    looked = [s for frame in frames for s in scan.due(frame / 25, luma() + noise(frame))]
    assert set(looked) == set(squares)


def test_what_moves_on_a_known_person_is_looked_at_seldom() -> None:
    picture = [luma() + noise(frame) for frame in range(50)]
    for frame in range(1, 50):
        picture[frame][40:50, 60:70] += 0.3 * (frame % 2)  # a chest at (240..280, 160..200)
    looks: list[int] = []
    for known in ((), ((240.0, 110.0, 280.0, 150.0),)):
        scan, _ = rolling()
        scan.due(0.0, picture[0])
        looks.append(sum(len(scan.due(f / 25, picture[f], known)) for f in range(1, 50)))
    assert looks[1] <= 2 * IDLE_LOOKS_PER_S
    assert looks[0] >= looks[1] + 10


def test_a_square_where_a_known_person_moves_comes_before_one_where_nothing_does() -> None:
    scan, _ = rolling()
    scan.due(0.0, luma())
    looked: list[Square] = []
    for frame in range(1, 60):
        picture = luma() + noise(frame)
        picture[40:50, 60:70] += 0.3 * (frame % 2)
        looked += scan.due(frame / 25, picture, [(240.0, 110.0, 280.0, 150.0)])
    assert len(looked) > 6
    for square in looked[:6]:
        x, y = square.centre_px
        assert abs(x - 260) < 24 + square.side_px / 2
        assert abs(y - 180) < 24 + square.side_px / 2


def test_only_squares_with_motion_are_looked_at() -> None:
    scan, _ = rolling()
    scan.due(0.0, luma())
    looked: set[Square] = set()
    for frame in range(1, 40):  # until then no square is looked at again where nothing moves
        picture = luma() + noise(frame)
        picture[10:16, 20:25] += 0.3 * (frame % 2)  # a face of 20 px at (80..100, 40..64)
        looked |= set(scan.due(frame / 25, picture))
    assert looked
    for square in looked:
        x, y = square.centre_px
        half = square.side_px / 2
        assert x - half - 4 <= 100
        assert x + half >= 80
        assert y - half - 4 <= 64
        assert y + half >= 40
    assert any(square.side_px < 200 for square in looked)


def test_where_light_comes_and_goes_but_nothing_moves_few_squares_are_looked_at() -> None:
    scan, squares = rolling()
    scan.due(0.0, luma())
    lit = [1.0, 1.0, 1.0, 0.25, 0.25, 0.25] * 8
    looks = [scan.due(f / 25, (luma() + noise(f)) * light) for f, light in enumerate(lit, 1)]
    assert sum(map(len, looks)) <= 2 * IDLE_LOOKS_PER_S
    assert len(squares) > IDLE_LOOKS_PER_S / 2


def test_what_starts_to_move_at_little_light_is_looked_at() -> None:
    light = 0.06
    scan, _ = rolling()
    scan.due(0.0, coded(luma() * light))
    for frame in range(1, 50):
        scan.due(frame / 25, coded((luma() + noise(frame)) * light))
    picture = luma() + noise(50)
    picture[10:16, 20:25] += 0.3
    due = scan.due(2.0, coded(picture * light))
    assert any(
        abs(square.centre_px[0] - 90) < square.side_px / 2
        and abs(square.centre_px[1] - 52) < square.side_px / 2
        and square.side_px < 200
        for square in due
    )


@pytest.mark.parametrize("step_s", [1.0, 5.0])
def test_in_slow_film_the_whole_of_a_changed_picture_is_looked_at(step_s: float) -> None:
    scan, squares = rolling()
    scan.due(0.0, luma(0))
    for frame in range(1, 6):
        assert set(scan.due(frame * step_s, luma(frame))) == set(squares)


def with_turned() -> tuple[RollingScan, list[Square], list[Square]]:
    squares, turned = (scan_squares(640, 360, min_face_px=20, turn_deg=t) for t in (0, 180))
    return RollingScan(squares, turned=turned, interval_s=0.5, step_px=4), squares, turned


def upside_down(due: list[Square]) -> list[Square]:
    return [square for square in due if square.turn_deg == 180]


def test_the_picture_is_looked_at_upside_down_too_at_a_low_rate_the_large_squares_first() -> None:
    scan, squares, turned = with_turned()
    first = int(TURNED_LOOKS_PER_S)
    assert scan.due(0.0, luma()) == squares + turned[:first]
    looked = [
        square
        for frame in range(1, 76)
        for square in upside_down(scan.due(frame / 25, luma() + noise(frame)))
    ]
    assert len(looked) == pytest.approx(3 * STILL_TURNED_LOOKS_PER_S, abs=1)
    assert looked == turned[first : first + len(looked)]
    scan.flip()
    assert scan.due(3.1, luma()) == turned + squares[:first]


def test_what_moves_is_looked_at_upside_down_first() -> None:
    scan, _, turned = with_turned()
    first = upside_down(scan.due(0.0, luma()))
    looked: list[Square] = []
    for frame in range(1, 11):
        picture = luma() + noise(frame)
        picture[40:50, 60:70] += 0.3 * (frame % 2)  # at (240..280, 160..200)
        looked += upside_down(scan.due(frame / 25, picture))
    moving = {
        square
        for square in turned
        if square not in first
        and abs(square.centre_px[0] - 260) < 20 + square.side_px / 2
        and abs(square.centre_px[1] - 180) < 20 + square.side_px / 2
    }
    assert set(looked[: len(moving)]) == moving
    assert 2 <= len(moving) < len(turned) / 4


def looks_by_span(frames: int, moves_at: int | None = None) -> list[int]:
    """Return the looks in each 10 s of a still picture, in which something may move once."""
    scan, _ = rolling()
    scan.due(0.0, luma())
    spans = [0] * (frames // 50)
    for frame in range(1, frames):
        picture = luma() + noise(frame)
        if frame == moves_at:
            picture[:, :] = luma(7)
        spans[frame // 50] += len(scan.due(frame / 5, picture))
    return spans


def test_while_nothing_moves_looks_become_rare_but_do_not_end() -> None:
    _, squares = rolling()
    spans = looks_by_span(600)
    assert spans[0] >= 2 * len(squares)
    assert sum(spans[1:4]) <= 3 * len(squares)
    # Each square once in 32 s.
    assert sum(spans[4:]) == pytest.approx(80 / 32 * len(squares), rel=0.25)


def test_after_a_motion_looks_are_as_frequent_as_at_first() -> None:
    _, squares = rolling()
    calm, moved = looks_by_span(500), looks_by_span(500, moves_at=401)
    assert moved[:8] == calm[:8]
    assert moved[8] >= calm[8] + 2 * len(squares)


def test_after_a_restart_everything_is_due() -> None:
    scan, squares = rolling()
    scan.due(0.0, luma())
    scan.restart()
    assert scan.due(0.04, luma()) == squares


def test_another_scene_is_a_cut_and_the_first_frame_is_not() -> None:
    cuts = SceneCuts()
    assert not cuts.is_cut(luma(0))
    assert not cuts.is_cut(luma(0) + noise(1))
    assert cuts.is_cut(luma(5))
    assert not cuts.is_cut(luma(5) + noise(2))


@pytest.mark.parametrize("name", LIGHTS)
def test_another_light_on_the_same_scene_is_no_cut(name: str) -> None:
    cuts = SceneCuts()
    lit = LIGHTS[name]
    for frame in range(12):
        picture = luma() + noise(frame)
        assert not cuts.is_cut(coded(lit(picture) if frame % 4 > 1 else picture))


# Two scenes that are both lit from the same side only differ too little to tell.
@pytest.mark.parametrize("name", sorted(LIGHTS.keys() - {"a lamp to one side"}))
def test_another_scene_is_a_cut_in_any_light(name: str) -> None:
    cuts = SceneCuts()
    lit = LIGHTS[name]
    found = [cuts.is_cut(coded(lit(luma(frame // 5) + noise(frame)))) for frame in range(15)]
    assert [frame for frame, cut in enumerate(found) if cut] == [5, 10]


def test_who_leaves_from_before_a_plain_wall_makes_no_cut() -> None:
    y, x = np.mgrid[0:90, 0:160] / 90
    wall = (0.4 + 0.15 * np.sin(3 * x) + 0.1 * np.cos(4 * y)).astype(np.float32)
    person = wall.copy()
    person[30:90, 60:100] = np.kron(luma(3)[:60:10, :40:10], np.ones((10, 10)))
    cuts = SceneCuts()
    assert not any(cuts.is_cut(picture) for picture in (person, person, wall, wall, person))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_blank_between_is_no_cut_but_another_scene_after_it_is(level: float) -> None:
    cuts = SceneCuts()
    blank = np.full((90, 160), level, np.float32)
    pictures = [luma(0), blank + noise(1), blank + noise(2), luma(0), blank + noise(3), luma(5)]
    assert [cuts.is_cut(coded(p)) for p in pictures] == [False] * 5 + [True]


def test_a_picture_that_always_changes_is_no_cut_each_time() -> None:
    cuts = SceneCuts()
    found = [cuts.is_cut(luma(seed)) for seed in range(30)]
    assert sum(found) <= 6


def test_moving_texture_is_no_cut() -> None:
    stripes = np.tile(np.array([0.1, 0.1, 0.9, 0.9], np.float32), (90, 40))
    cuts = SceneCuts()
    assert not cuts.is_cut(stripes)
    assert not cuts.is_cut(np.roll(stripes, 2, axis=1))
