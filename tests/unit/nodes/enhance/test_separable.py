"""Filters as matrices: they do what convolution and interpolation do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from nodes.enhance.separable import (
    applied,
    averaged,
    enlarged,
    enlarged_and_averaged,
    gaussian,
)

CPU = torch.device("cpu")


def noise(side_px: int) -> Tensor:
    return torch.rand((2, 3, side_px, side_px), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("side_px", [8, 48])
def test_each_image_is_blurred_by_its_own_gaussian_and_edges_repeat(side_px: int) -> None:
    images, sigmas_px = noise(side_px), (0.5, 2.3)
    blurred = applied(gaussian(torch.tensor(sigmas_px), side_px, CPU), images)
    for image, found, sigma_px in zip(images, blurred, sigmas_px, strict=True):
        radius = int(np.ceil(3 * sigma_px))
        expected = ndimage.gaussian_filter(
            image.numpy(), (0, sigma_px, sigma_px), mode="nearest", radius=(0, radius, radius)
        )
        assert found.numpy() == pytest.approx(expected, abs=1e-5)


def test_a_narrow_gaussian_changes_nothing() -> None:
    images = noise(16)
    assert torch.allclose(applied(gaussian(torch.full((2,), 0.1), 16, CPU), images), images)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_enlarging_and_averaging_is_one_matrix(scale: int) -> None:
    images = noise(12)
    matrix = enlarged_and_averaged(12, scale, CPU).expand(2, -1, -1)
    expected = averaged(enlarged(images, scale), scale)
    assert torch.allclose(applied(matrix, images), expected, atol=1e-6)
