"""Geometry: fits are similarities and nothing else, and transforms compose as written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.geometry import alignment as geometry
from nodes.types import EYES_OF_SIZE
from tests.support.faces import face_at

coordinates = st.floats(-500, 500)
some_points = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=3).map(np.array)


def spread(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.abs(points - points.mean(axis=0)).max())


@given(some_points, some_points)
def test_a_fit_never_shears_or_mirrors(
    b: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    a: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    if spread(b) < 1:
        return
    (p, q, _), (r, s, _) = geometry.fit_similarity(b, a, np.ones(3))
    assert p == s
    assert q == -r


@given(st.floats(-3, 3), st.floats(0.1, 10), coordinates, coordinates)
def test_a_fit_finds_the_similarity_there_is(
    angle: float, scale: float, x_px: float, y_px: float
) -> None:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    truth = np.array([[cos, -sin, x_px], [sin, cos, y_px]])
    b = np.array([(0.0, 0.0), (40.0, 3.0), (20.0, 50.0)])
    fit = geometry.fit_similarity(b, geometry.apply(truth, b), np.array([1.0, 2.0, 0.5]))
    assert np.allclose(fit, truth, atol=1e-6)


def test_a_fit_minimises_the_squared_distance() -> None:
    rng = np.random.default_rng(0)
    b, a = rng.normal(size=(3, 2)) * 20, rng.normal(size=(3, 2)) * 20
    weights = np.array([1.0, 2.0, 0.5])

    def cost(matrix: geometry.Matrix) -> float:
        return float(weights @ ((geometry.apply(matrix, b) - a) ** 2).sum(axis=1))

    fit = geometry.fit_similarity(b, a, weights)
    for turn, grow, move in [(1e-3, 0, 0), (0, 1e-3, 0), (0, 0, 1e-2), (-1e-3, -1e-3, -1e-2)]:
        nudge = np.array([[1 + grow, -turn, move], [turn, 1 + grow, move]])
        assert cost(geometry.compose(nudge, fit)) > cost(fit)


def test_points_that_coincide_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="coincide"):
        geometry.fit_similarity(np.ones((3, 2)), np.eye(3, 2), np.ones(3))


def test_composing_with_the_inverse_is_nothing() -> None:
    matrix = np.array([[1.2, -0.4, 7.0], [0.4, 1.2, -3.0]])
    nothing = geometry.compose(matrix, geometry.invert(matrix))
    assert np.allclose(nothing, geometry.translation(0, 0))
    assert geometry.similarity_scale(matrix) == pytest.approx(np.hypot(1.2, 0.4))


def test_compose_applies_the_right_one_first() -> None:
    moved_then_doubled = geometry.compose(geometry.scaling(2), geometry.translation(1, 0))
    assert geometry.apply(moved_then_doubled, np.array([[3.0, 5.0]])).tolist() == [[8.0, 10.0]]


@pytest.mark.parametrize("size_px", [128, 192, 256])
def test_an_aligned_face_has_its_eyes_level_and_38_of_128_apart(size_px: int) -> None:
    face = face_at(50, 40, 17)
    crop_from_frame = geometry.crop_from_frame(face.points_px, size_px)
    right, left, _, mouth = geometry.apply(crop_from_frame, face.points_px)
    assert left - right == pytest.approx([EYES_OF_SIZE * size_px, 0], abs=1e-3)
    assert (right[0] + left[0]) / 2 == pytest.approx(size_px / 2, abs=1e-3)
    assert mouth == pytest.approx(geometry.template_points(size_px)[2], abs=1e-3)


@pytest.mark.parametrize("angle_deg", [-120, -30, 0, 45, 90, 179])
def test_roll_is_clockwise_from_upright(angle_deg: float) -> None:
    turn = np.radians(angle_deg)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
    points = geometry.apply(matrix, face_at(0, 0, 20).points_px)
    assert geometry.roll_deg(points) == pytest.approx(angle_deg)


def test_yaw_grows_with_the_nose_and_ignores_roll() -> None:
    points = face_at(0, 0, 20).points_px.astype(np.float64)
    assert geometry.yaw_deg(points) == pytest.approx(0, abs=1e-6)
    points[2, 0] += 13
    assert geometry.yaw_deg(points) == pytest.approx(45)
    quarter = np.array([[0.0, -1.0, 5.0], [1.0, 0.0, 5.0]])
    assert geometry.yaw_deg(geometry.apply(quarter, points)) == pytest.approx(45)


def test_mask_covers_eyes_and_mouth_and_ends_inside_the_square() -> None:
    mask = geometry.face_oval_mask(128)
    assert mask.shape == (128, 128)
    for x, y in geometry.template_points(128):
        assert mask[int(y), int(x)] > 0.95
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not edge.any()
    # Most of the face gets all of it, and still there is no edge.
    assert (mask == 1).sum() > 0.75 * (mask > 0).sum()
    assert np.abs(np.diff(mask, axis=0)).max() < 0.3
    assert np.array_equal(mask, mask[:, ::-1])


@pytest.mark.parametrize("yaw_deg", [-90, -35, 0, 20, 55])
def test_a_turned_faces_mask_follows_the_cheek_in_view(yaw_deg: float) -> None:
    mask = geometry.face_oval_mask(128, yaw_deg)
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not edge.any()
    middle = float((mask * (np.arange(128) + 0.5)).sum() / mask.sum()) / 128
    # The nose points to positive x when yaw is positive: what is seen of the head lies behind it.
    expected = np.clip(-0.178 * np.sin(np.radians(yaw_deg)), -0.086, 0.086)
    assert middle - 0.5 == pytest.approx(expected, abs=0.005)
    for x, y in geometry.template_points(128):
        assert mask[int(y), int(x)] > 0.8


def test_the_oval_can_be_drawn_on_any_grid() -> None:
    """Of a square of 128 px that lies turned and enlarged in a picture."""
    square_from_grid = np.array([[0.004, 0.001, -0.1], [-0.001, 0.004, 0.2]])
    drawn = geometry.face_oval_on_grid(square_from_grid, (200, 260), 10)
    mask = geometry.face_oval_mask(128, 10)
    for row, column in ((40, 90), (90, 150), (150, 60), (199, 259)):
        ((x, y),) = geometry.apply(square_from_grid, np.array([[column + 0.5, row + 0.5]]))
        inside = 0 <= x < 1 and 0 <= y < 1
        expected = mask[int(y * 128), int(x * 128)] if inside else 0
        assert drawn[row, column] == pytest.approx(expected, abs=0.1)
    assert drawn.max() == 1
