"""The mean of a face: as `aminet.history` defines it, and only of what agrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from aminet.history import with_history
from nodes.fuse.mean import agreements, drawable, fuse, light_changes, noise_of
from nodes.geometry import alignment as geometry
from nodes.types import RgbImage

SIDE = 64
OVAL = geometry.face_oval_mask(SIDE)


def waves(x_px: float = 0, y_px: float = 0) -> RgbImage:
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    wave = 120 + 60 * np.sin((x - x_px) / 4) * np.cos((y - y_px) / 5)
    return np.stack([wave, 0.8 * wave, 255 - wave], axis=2).round().astype(np.uint8)


def test_it_is_the_mean_that_networks_are_trained_on() -> None:
    """But for a few pixels where noise is largest."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (4, SIDE, SIDE, 3))
    frames = np.clip(waves() + noise, 0, 255).round().astype(np.uint8)
    still = geometry.translation(0, 0)
    earlier = [(drawable(frame), still) for frame in frames[:-1]]
    result = fuse(frames[-1], None, earlier, OVAL, bit_depth=8, side_px=SIDE, noise_before=6.0)
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)[None] / 255
    x = with_history(tensor, torch.ones(1, 3, 1, SIDE, SIDE))[0].numpy()
    face = OVAL > 0.5
    weight = result.weight[face].mean() / 255
    assert x[6][face].mean() - 0.1 < weight <= x[6][face].mean()
    off = result.rgb / 255 - x[3:6].transpose(1, 2, 0)
    assert np.abs(off[face]).mean() < 0.25 * np.abs(x[:3] - x[3:6]).mean()


@pytest.mark.parametrize("move", [(0.5, 0.25), (1.3, -0.8), (-3.0, 2.0)])
def test_an_earlier_patch_is_drawn_where_it_belongs(move: tuple[float, float]) -> None:
    now, before = waves(*move), waves()
    earlier = [(drawable(before), geometry.translation(*move))]
    result = fuse(now, None, earlier, OVAL, bit_depth=8, side_px=SIDE, noise_before=None)
    face = OVAL > 0.5
    assert np.abs(result.rgb.astype(int) - now)[face].max() < 4
    assert result.weight[face].mean() / 255 > 0.48
    assert result.newest_share > 0.95


def test_on_a_fine_grid_frames_show_together_what_each_of_them_lacks() -> None:
    """Stripes that are too narrow for one frame, whose pixels lie elsewhere in each frame."""

    def stripes(x_px: float, pixels: int) -> npt.NDArray[np.float64]:
        at = (np.arange(2 * SIDE if pixels == 2 else SIDE) / pixels - x_px)[None, :, None]
        return 120 + 5 * np.sin(2 * np.pi * 0.6 * at) * np.ones((SIDE * pixels, 1, 3))

    moves = [0.5, 0.25, 0.75, 0.5, 0.25, 0.75]
    frames = [stripes(-move, 1).round().astype(np.uint8) for move in moves]
    now, truth = stripes(0, 1).round().astype(np.uint8), stripes(0, 2)
    earlier = [
        (drawable(frame), geometry.translation(move, 0))
        for frame, move in zip(frames, moves, strict=True)
    ]
    own = drawable(now)
    fine = fuse(now, own, earlier, OVAL, bit_depth=8, side_px=SIDE, noise_before=6.0)
    assert fine.rgb.shape == (2 * SIDE, 2 * SIDE, 3)
    assert fine.weight.shape == (SIDE, SIDE)
    inner = slice(32, -32)

    def likeness(picture: npt.NDArray[Any]) -> float:
        one, other = (p[inner, inner].astype(np.float64).ravel() for p in (picture, truth))
        return float(np.corrcoef(one, other)[0, 1])

    assert likeness(own[..., :3]) < 0.5
    assert likeness(fine.rgb) > 0.8


@pytest.mark.parametrize("finer", [1, 2])
def test_a_patch_is_unchanged_where_it_did_not_move(finer: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    own = drawable(rgb)
    earlier = [(own, geometry.translation(0, 0))] * 3
    given = own if finer == 2 else None
    result = fuse(rgb, given, earlier, OVAL, bit_depth=8, side_px=SIDE, noise_before=None)
    assert np.array_equal(result.rgb[::finer, ::finer], rgb)
    assert (result.weight == round(0.75 * 255)).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (127, 94), (200, 151)])
def test_any_size_of_patch_is_fused(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    oval = np.ones(size, np.float32)
    earlier = [(drawable(rgb), geometry.translation(0, 0))]
    result = fuse(rgb, None, earlier, oval, bit_depth=8, side_px=max(size), noise_before=None)
    assert np.array_equal(result.rgb, rgb)


def test_trust_falls_with_the_energy_of_what_is_no_noise() -> None:
    differences = np.array([[[0, 1, 2, 4, 20]]], np.float32) * 2
    found = agreements(differences, 2 / 1.2)[0, 0]
    assert found[:2].tolist() == [1, 1]
    assert found[2] == pytest.approx(1 / 13)
    assert found[3] < 0.02
    assert found[4] < 0.001


def test_a_face_that_moves_at_once_is_not_taken_for_noise() -> None:
    quiet, restless = np.full((SIDE, SIDE), 2, np.float32), np.full((SIDE, SIDE), 9, np.float32)
    known = noise_of(quiet, OVAL, None)
    assert known == pytest.approx(2)
    assert noise_of(restless, OVAL, known) < 3
    assert noise_of(restless, OVAL, None) == noise_of(restless, OVAL, 50) == pytest.approx(6)
    assert noise_of(np.zeros_like(quiet), OVAL, known) > 1


def test_light_is_a_plane_whatever_moved() -> None:
    x = np.linspace(-1, 1, SIDE, dtype=np.float32)
    plane = (5 + 3 * x[None, :] - 2 * x[:, None])[None]
    moved = plane.copy()
    moved[:, 20:34, 20:44] += 60
    found = light_changes(moved, np.ones_like(moved))
    assert np.abs(found - plane).max() < 1
