"""Registration: a face is laid over itself to a hundredth of a pixel, whatever moved in between."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.geometry import alignment as geometry
from nodes.geometry.registration import Plane, enlarged, oval_on_grid, register, sampled, warped
from tests.support.faces import portrait

MIDDLE = geometry.translation(48, 48)
BACK = geometry.translation(-48, -48)


def face(side_px: int = 96) -> Plane:
    grey = np.asarray(portrait(side_px).convert("L"), np.float32)
    return grey / np.float32(255)


def moved_by(x_px: float, y_px: float, turn_deg: float, growth: float) -> geometry.Matrix:
    turn = np.radians(turn_deg)
    cos, sin = growth * np.cos(turn), growth * np.sin(turn)
    about = np.array([[cos, -sin, x_px], [sin, cos, y_px]])
    return geometry.compose(geometry.compose(MIDDLE, about), BACK)


def slip_px(a: geometry.Matrix, b: geometry.Matrix) -> float:
    places = np.array([(24.0, 24.0), (72.0, 30.0), (48.0, 70.0)])
    return float(np.abs(geometry.apply(a, places) - geometry.apply(b, places)).max())


@pytest.mark.parametrize(
    "move", [(0, 0, 0, 1), (0.3, -0.2, 0, 1), (1.6, 1.1, 2, 1.02), (-2, 0.5, -3, 0.97)]
)
def test_a_move_is_found(move: tuple[float, float, float, float]) -> None:
    truth, before = moved_by(*move), face()
    now = np.nan_to_num(warped(before, truth, (96, 96)))
    weights = geometry.face_oval_mask(96)
    found = register(now, before, geometry.translation(0, 0), weights)
    # OpenCV before 4.12 warps the picture of the test in steps of 1/32 pixel.
    assert slip_px(found, truth) < 0.07


def test_the_pixels_outweigh_a_poor_guess() -> None:
    before = face()
    found = register(before, before, moved_by(1.5, -1, 1.5, 1.02), geometry.face_oval_mask(96))
    assert slip_px(found, geometry.translation(0, 0)) < 0.1


def test_a_hand_before_the_face_does_not_decide() -> None:
    truth, before = moved_by(0.8, 0.4, 0, 1), face()
    now = np.nan_to_num(warped(before, truth, (96, 96)))
    now[60:80, 20:50] = 0.9
    found = register(now, before, geometry.translation(0, 0), geometry.face_oval_mask(96))
    assert slip_px(found, truth) < 0.2


def test_without_anything_to_see_the_guess_stays() -> None:
    flat, guess = np.full((96, 96), 0.5, np.float32), moved_by(1, 2, 0, 1)
    assert slip_px(register(flat, flat, guess, geometry.face_oval_mask(96)), guess) < 1e-6


def test_a_linear_warp_says_where_it_has_no_pixel() -> None:
    drawn = sampled(face(), geometry.translation(10, 0), (96, 96))
    assert np.isnan(drawn[:, :10]).all()
    assert not np.isnan(drawn[:-1, 11:]).any()
    assert np.allclose(drawn[:-1, 12:90], face()[:-1, 2:80], atol=1e-3)


def test_a_cubic_warp_repeats_the_edge() -> None:
    drawn = warped(face(), geometry.translation(10, 0), (96, 96))
    assert np.allclose(drawn[:, :10], face()[:, :1], atol=1e-3)
    assert np.allclose(drawn[:, 10:], face()[:, :86], atol=1e-3)


def test_the_cached_mask_is_that_of_the_face() -> None:
    turned = geometry.compose(geometry.scaling(1 / 90), moved_by(-8, -5, 20, 1))
    for yaw_deg in (0, 31):
        cached = oval_on_grid(turned, (110, 100), yaw_deg)
        exact = geometry.face_oval_on_grid(turned, (110, 100), yaw_deg)
        assert np.abs(cached - exact).max() < 0.04
        assert not cached[geometry.face_oval_on_grid(turned, (110, 100), yaw_deg) == 0].max() > 0.02


def test_enlarging_keeps_everything_in_its_place() -> None:
    small = face(40)
    large = enlarged(small, 3)
    assert large.shape == (120, 120)
    blocks = large.reshape(40, 3, 40, 3).mean(axis=(1, 3))
    assert np.abs(blocks - small).mean() < 0.02
    assert enlarged(small, 1) is small
