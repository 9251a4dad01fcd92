"""Softness: blur is told from noise and from people's looks, at any size."""

from __future__ import annotations

import time
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from nodes.crop.softness import Softness, energies, softness
from nodes.geometry import alignment as geometry
from tests.support.faces import face_at, still

EYES_MIDDLE_PX, EYES_PX = (99.3, 139.8), 43.8
"""In the still."""


def drawn(
    eyes_px: float, blur_px: float, noise: float = 0.0
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the still's luma in 0 to 1, reduced to an eye distance and then blurred."""
    image = still("face_woman.jpg").convert("L")
    shrink = eyes_px / EYES_PX
    size = round(image.width * shrink), round(image.height * shrink)
    small = np.asarray(image.resize(size, Image.Resampling.BOX), np.float64) / 255
    soft = gaussian_filter(small, blur_px) if blur_px else small
    return soft + noise * np.random.default_rng(0).standard_normal(soft.shape), shrink


def measured(eyes_px: float, blur_px: float, noise: float = 0.0) -> Softness:
    luma, _ = drawn(eyes_px, blur_px, noise)
    return softness(luma, window(luma.shape, eyes_px), eyes_px)


def window(shape: tuple[int, int], eyes_px: float) -> npt.NDArray[np.float32]:
    x_px, y_px = np.array(EYES_MIDDLE_PX) * eyes_px / EYES_PX
    square = geometry.crop_from_frame(face_at(x_px, y_px, eyes_px).points_px, 1)
    return geometry.face_oval_on_grid(square, shape, 0, geometry.WINDOW_FEATHER)


@pytest.mark.parametrize("eyes_px", [10, 16, 25])
@pytest.mark.parametrize("blur_px", [0.7, 1.0, 1.5, 2.2])
def test_a_blur_is_found_whatever_the_faces_size(eyes_px: float, blur_px: float) -> None:
    assert measured(eyes_px, blur_px).blur_px == pytest.approx(blur_px, rel=0.3, abs=0.15)


@pytest.mark.parametrize("eyes_px", [8, 12, 20])
def test_a_face_as_sharp_as_its_pixels_has_next_to_none(eyes_px: float) -> None:
    assert measured(eyes_px, 0).blur_px < 0.4


def test_noise_does_not_make_a_soft_face_sharp() -> None:
    noisy = measured(25, 2.0, noise=4 / 255)
    assert noisy.blur_px == pytest.approx(2.0, rel=0.3)
    assert noisy.noise == pytest.approx(4 / 255, rel=0.4)


@pytest.mark.parametrize("eyes_px", [12, 20, 30, 40])
def test_smooth_skin_is_not_taken_for_blur(eyes_px: float) -> None:
    luma, _ = drawn(eyes_px, 0)
    smooth = np.asarray(cv2.bilateralFilter(luma.astype(np.float32), 0, 12 / 255, 1.5), np.float32)
    mask = window(luma.shape, eyes_px)
    plain_px, smooth_px = (softness(face, mask, eyes_px).blur_px for face in (luma, smooth))
    assert smooth_px <= plain_px


def test_it_does_not_depend_on_light_or_contrast() -> None:
    luma, _ = drawn(20, 1.0)
    weights = np.ones_like(luma)
    plain = softness(luma, weights, 20)
    dimmed = softness(0.2 * luma + 0.5, weights, 20)
    assert dimmed.blur_px == pytest.approx(plain.blur_px, abs=0.02)
    assert dimmed.noise == pytest.approx(0.2 * plain.noise, rel=0.05)


def test_it_grows_with_every_bit_of_blur() -> None:
    found = [measured(20, blur_px).blur_px for blur_px in np.linspace(0.5, 4, 15)]
    assert np.all(np.diff(found) > 0)
    assert np.diff(found).max() < 0.6


def test_a_large_face_is_measured_as_fast_as_a_small_one() -> None:
    luma, _ = drawn(40, 1.0)
    large = np.asarray(Image.fromarray(luma.astype(np.float32)).resize((1920, 1920), 3))
    eyes_px = 40 * 1920 / luma.shape[1]
    began = time.process_time()
    found = softness(large, np.ones_like(large), eyes_px)
    assert time.process_time() - began < 1.0
    assert found.blur_px == pytest.approx(1.0 * 1920 / luma.shape[1], rel=0.4)


def test_a_flat_picture_says_nothing() -> None:
    assert softness(np.full((40, 40), 0.5), np.ones((40, 40)), 12) == Softness(0.0, 0.0)


@pytest.mark.parametrize("side", [31, 60, 150])
def test_bands_are_differences_of_gaussians(side: int) -> None:
    luma = np.asarray(still("face_woman.jpg").convert("L").resize((side, side)), np.float64)
    y, x = (np.indices(luma.shape) + 0.5) / side - 0.5
    weights = np.clip(1.6 - 4 * np.hypot(x, y), 0, 1)
    edges_px = (0.7, 1.4, 2.8, 5.6, 11.2)
    soft = [luma] + [gaussian_filter(luma, s, mode="reflect", truncate=3) for s in edges_px]
    down, across = np.gradient(gaussian_filter(luma, 1.0, mode="reflect", truncate=3))
    sloped = weights * np.hypot(across, down)
    wanted = [(np.square(a - b) * sloped).sum() / sloped.sum() for a, b in pairwise(soft)]
    assert energies(luma, weights) == pytest.approx(np.array(wanted), rel=0.05)
