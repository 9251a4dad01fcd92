"""Back-projection: what contradicts the source goes, what the source could not show stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from nodes.enhance.back_projection import TOLERANCE, back_project

SIDE = 48
"""Of the region at source resolution."""


def masked(image: Tensor, scale: int) -> Tensor:
    """Put (3, H, W) under a feathered disc."""
    place = (torch.arange(SIDE * scale) + 0.5) / (SIDE * scale) * 2 - 1
    inside = (1.3 * (1 - torch.hypot(place[None], place[:, None]) / 0.8)).clamp(0, 1)
    return image * inside


def ripples(period_px: float, scale: int, height: float = 0.1) -> Tensor:
    """Waves along x; the period in source pixels."""
    x = (torch.arange(SIDE * scale) + 0.5) / scale
    wave = height * torch.sin(2 * torch.pi * x / period_px)
    return wave.expand(3, SIDE * scale, SIDE * scale)


def seen_by_a_camera(residuals: Tensor, scale: int) -> np.ndarray[tuple[int, ...], np.dtype]:
    """Degrade as the module says, by other means."""
    blocks = residuals.numpy().reshape(3, SIDE, scale, SIDE, scale).mean(axis=(2, 4))
    return ndimage.gaussian_filter(blocks, (0, 0.5, 0.5))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_restored_face_degraded_again_is_the_source(scale: int) -> None:
    before = masked(ripples(8, scale), scale)[None]
    after, consistency_db = back_project(before, scale)
    left = seen_by_a_camera(after[0], scale)
    pixels = seen_by_a_camera((before[0] != 0).float(), scale) > 0.5
    assert float(np.sqrt(np.mean(left[pixels] ** 2))) < 1.15 * TOLERANCE
    assert float(consistency_db) == pytest.approx(-20 * np.log10(TOLERANCE), abs=0.8)
    assert float(np.abs(seen_by_a_camera(before[0], scale)[pixels]).mean()) > 3 * TOLERANCE


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_detail_finer_than_the_source_stays(scale: int) -> None:
    before = masked(ripples(1, scale), scale)[None]
    after, consistency_db = back_project(before, scale)
    assert torch.equal(after, before)
    assert float(consistency_db) > 45


def test_a_small_disagreement_is_left_as_it_is() -> None:
    before = masked(ripples(8, 2, height=TOLERANCE), 2)[None]
    after, _ = back_project(before, 2)
    assert torch.equal(after, before)


def test_nothing_appears_outside_the_mask_and_faces_do_not_mix() -> None:
    loud, quiet = masked(ripples(8, 2), 2), masked(ripples(1, 2), 2)
    together, consistency_db = back_project(torch.stack([loud, quiet]), 2)
    for place, face in enumerate((loud, quiet)):
        alone, alone_db = back_project(face[None], 2)
        assert torch.equal(together[place], alone[0])
        assert consistency_db[place] == alone_db[0]
        assert not together[place][face == 0].any()


def test_nothing_added_agrees_with_everything() -> None:
    nothing = torch.zeros(1, 3, SIDE, SIDE)
    after, consistency_db = back_project(nothing, 1)
    assert not after.any()
    assert float(consistency_db) > 100
