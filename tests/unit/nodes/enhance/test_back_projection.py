"""Back-projection: what contradicts the source goes; what it could not show, and what its blur took
from it, stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from nodes.enhance.back_projection import LOSSY_TOLERANCE, TOLERANCE, back_project

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


def projected(
    residuals: Tensor,
    scale: int,
    source: Tensor | None = None,
    blur_px: float = 0.0,
    tolerance: float = TOLERANCE,
) -> tuple[Tensor, Tensor]:
    """Run it on (B, 3, H, W), by default against a flat source."""
    count = len(residuals)
    grey = torch.full((3, SIDE, SIDE), 0.5) if source is None else source
    return back_project(
        residuals,
        scale,
        grey.expand(count, 3, SIDE, SIDE),
        torch.full((count,), blur_px),
        torch.full((count,), tolerance),
    )


def seen_by_a_camera(residuals: Tensor, scale: int) -> np.ndarray[tuple[int, ...], np.dtype]:
    """Degrade as the module says, by other means."""
    blocks = residuals.numpy().reshape(3, SIDE, scale, SIDE, scale).mean(axis=(2, 4))
    return ndimage.gaussian_filter(blocks, (0, 0.5, 0.5))


@pytest.mark.parametrize("tolerance", [TOLERANCE, LOSSY_TOLERANCE])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_restored_face_degraded_again_is_the_source(scale: int, tolerance: float) -> None:
    before = masked(ripples(8, scale), scale)[None]
    after, consistency_db = projected(before, scale, tolerance=tolerance)
    left = seen_by_a_camera(after[0], scale)
    pixels = seen_by_a_camera((before[0] != 0).float(), scale) > 0.5
    assert float(np.sqrt(np.mean(left[pixels] ** 2))) < 1.15 * tolerance
    assert float(consistency_db) == pytest.approx(-20 * np.log10(tolerance), abs=0.8)
    assert float(np.abs(seen_by_a_camera(before[0], scale)[pixels]).mean()) > 3 * TOLERANCE


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_detail_finer_than_the_source_stays(scale: int) -> None:
    before = masked(ripples(1, scale), scale)[None]
    after, consistency_db = projected(before, scale)
    assert torch.equal(after, before)
    assert float(consistency_db) > 45


def blurred(image: Tensor, blur_px: float) -> Tensor:
    return torch.from_numpy(ndimage.gaussian_filter(image.numpy(), (0, blur_px, blur_px)))


@pytest.mark.parametrize("scale", [1, 2])
def test_undoing_the_sources_own_blur_is_no_contradiction(scale: int) -> None:
    """The residual that makes the true picture of its blurred one."""
    sharp = 0.5 + ripples(7, 1) + ripples(11, 1).mT
    source = blurred(sharp, 1.5)
    large = sharp.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    seen = source.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    missing = masked(large - seen, scale)[None]
    kept, consistency_db = projected(missing, scale, source, blur_px=1.5)
    assert float((kept - missing).norm() / missing.norm()) < 0.1
    assert float(consistency_db) > 38
    taken, _ = projected(missing, scale, source, blur_px=0)
    assert float(taken.norm() / missing.norm()) < 0.5


def test_sharpening_beyond_the_blur_and_softening_are_taken_back() -> None:
    sharp = 0.5 + ripples(12, 1, height=0.4)
    source = blurred(sharp, 1.5)
    missing = masked(sharp - source, 1)[None]
    for wrong, blur_px in ((3 * missing, 1.5), (-missing, 1.5), (missing, 0.3)):
        after, _ = projected(wrong, 1, source, blur_px)
        assert float((after - wrong).norm() / wrong.norm()) > 0.3


def test_a_small_disagreement_is_left_as_it_is() -> None:
    before = masked(ripples(8, 2, height=TOLERANCE), 2)[None]
    after, _ = projected(before, 2)
    assert torch.equal(after, before)


def test_nothing_appears_outside_the_mask_and_faces_do_not_mix() -> None:
    loud, quiet = masked(ripples(8, 2), 2), masked(ripples(1, 2), 2)
    both = torch.stack([loud, quiet])
    sources = torch.stack([0.5 + ripples(9, 1), 0.5 + ripples(6, 1)])
    blurs_px, tolerances = torch.tensor([0.2, 2.0]), torch.tensor([TOLERANCE, LOSSY_TOLERANCE])
    together, consistency_db = back_project(both, 2, sources, blurs_px, tolerances)
    for place in range(2):
        one = slice(place, place + 1)
        alone, alone_db = back_project(both[one], 2, sources[one], blurs_px[one], tolerances[one])
        assert together[place] == pytest.approx(alone[0].numpy(), abs=1e-6)
        assert float(consistency_db[place]) == pytest.approx(float(alone_db[0]), abs=1e-3)
        assert not together[place][both[place] == 0].any()


def test_nothing_added_agrees_with_everything() -> None:
    nothing = torch.zeros(1, 3, SIDE, SIDE)
    after, consistency_db = projected(nothing, 1, 0.5 + ripples(6, 1), blur_px=1.0)
    assert not after.any()
    assert float(consistency_db) > 100
