"""Scan: everything is looked at in time, moving places first, and cuts are noticed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nodes.scan import MAX_SKIP_S, RollingScan, SceneCuts
from nodes.views import Square, scan_squares

Luma = npt.NDArray[np.float32]


def luma(seed: int = 0) -> Luma:
    coarse = np.random.default_rng(seed).uniform(0.2, 0.8, (9, 16))
    return np.kron(coarse, np.ones((10, 10))).astype(np.float32)


def noise(seed: int) -> Luma:
    return np.random.default_rng(seed).normal(0, 0.01, (90, 160)).astype(np.float32)


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
    for frame in range(1, 14):
        due = scan.due(frame / 25, luma(frame))
        assert len(due) <= len(squares) / 12.5 + 1
        looked += due
    assert set(looked) == set(squares)


def test_where_nothing_moves_nothing_is_looked_at_for_a_while() -> None:
    scan, squares = rolling()
    scan.due(0.0, luma())
    frames = int(MAX_SKIP_S * 25)
    assert not any(scan.due(frame / 25, luma() + noise(frame)) for frame in range(1, frames - 1))
    later = [scan.due(frame / 25, luma() + noise(frame)) for frame in range(frames, frames + 14)]
    assert {square for due in later for square in due} == set(squares)


def test_only_squares_with_motion_are_looked_at() -> None:
    scan, _ = rolling()
    scan.due(0.0, luma())
    looked: set[Square] = set()
    for frame in range(1, 14):
        picture = luma() + noise(frame)
        picture[10:16, 20:25] += 0.3  # a face of 20 px at (80..100, 40..64)
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


def test_a_flash_is_no_cut() -> None:
    cuts = SceneCuts()
    cuts.is_cut(luma() * 0.5)
    assert not cuts.is_cut(luma() * 0.5 + 0.4)


def test_a_picture_that_always_changes_is_no_cut_each_time() -> None:
    cuts = SceneCuts()
    found = [cuts.is_cut(luma(seed)) for seed in range(30)]
    assert sum(found) <= 6


def test_moving_texture_is_no_cut() -> None:
    stripes = np.tile(np.array([0.1, 0.1, 0.9, 0.9], np.float32), (90, 40))
    cuts = SceneCuts()
    assert not cuts.is_cut(stripes)
    assert not cuts.is_cut(np.roll(stripes, 2, axis=1))
