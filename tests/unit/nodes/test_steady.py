"""Steady: still faces stand still, moving ones leave no trail, and nothing outlives its track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nodes.fuse import Fuse, FuseConfig
from nodes.geometry import alignment as geometry
from nodes.node import Inputs
from nodes.steady import Steady, SteadyConfig
from nodes.types import FacePatch, FramePatches, FrameRestored, RestoredPatch
from tests.support.faces import face_at, frame_of, info_of, portrait, scene, segment_in

SIDE = 96
EYES_PX = 22.0
MIDDLE = (48.0, 42.0)


def patch_of(rgb: npt.NDArray[np.uint8], *, jitter_px: float = 0.0, track_id: int = 1) -> FacePatch:
    points = face_at(MIDDLE[0] + jitter_px, MIDDLE[1] - jitter_px, EYES_PX).points_px
    return FacePatch(
        track_id=track_id,
        rgb=rgb,
        bit_depth=8,
        region_xyxy_px=(100, 60, 100 + SIDE, 60 + SIDE),
        crop_from_region=geometry.crop_from_frame(points, 192),
        size_px=192,
        scale=2,
    )


def restored_of(patch: FacePatch, detail: npt.NDArray[np.floating]) -> RestoredPatch:
    """A residual that is `detail` (in luma) under the face's mask."""
    y, x = np.mgrid[0 : 2 * SIDE, 0 : 2 * SIDE] + 0.5
    places = np.stack([x.ravel(), y.ravel()], axis=1) / 2
    across, down = (geometry.apply(patch.crop_from_region, places) / patch.size_px).T
    mask = geometry.face_oval(across, down, 0).reshape(2 * SIDE, 2 * SIDE)
    residual = (mask * detail)[..., None].repeat(3, axis=2).astype(np.float16)
    x0, y0, x1, y1 = (2 * side for side in patch.region_xyxy_px)
    return RestoredPatch(patch.track_id, residual, (x0, y0, x1, y1))


def steadied(
    tmp_path: Path,
    frames: Sequence[tuple[FacePatch, RestoredPatch] | None],
    config: SteadyConfig | None = None,
) -> list[RestoredPatch | None]:
    node = Steady(config or SteadyConfig())
    info = info_of(frame_of(scene(64, 48)))
    node.open(segment_in(tmp_path), {"patches": info, "restored": info})
    fuse = Fuse(FuseConfig(frames=1))
    fuse.open(segment_in(tmp_path), {"patches": info})
    answers: list[RestoredPatch | None] = []
    for pts, frame in enumerate(frames):
        patches, faces = ((frame[0],), (frame[1],)) if frame else ((), ())
        known = fuse.process(Inputs({"patches": FramePatches(pts, patches)}))["patches"]
        packets = {"patches": known, "restored": FrameRestored(pts, faces)}
        packet = node.process(Inputs(packets))["restored"]
        assert isinstance(packet, FrameRestored)
        assert packet.pts == pts
        answers.append(packet.patches[0] if packet.patches else None)
    node.close()
    return answers


def still_rgb() -> npt.NDArray[np.uint8]:
    return np.asarray(portrait(SIDE), np.uint8)


def noisy_details(count: int, seed: int = 0) -> list[npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return [0.03 * rng.standard_normal((2 * SIDE, 2 * SIDE)) for _ in range(count)]


def change(a: RestoredPatch | None, b: RestoredPatch | None) -> float:
    assert a is not None
    assert b is not None
    return float(np.abs(a.residual_rgb.astype(np.float32) - b.residual_rgb).mean())


def test_on_a_still_source_a_restless_residual_comes_to_rest(tmp_path: Path) -> None:
    """Although the aligned square trembles."""
    frames = []
    for index, detail in enumerate(noisy_details(16)):
        patch = patch_of(still_rgb(), jitter_px=0.3 * (-1) ** index)
        frames.append((patch, restored_of(patch, detail)))
    answers = steadied(tmp_path, frames)
    before = change(frames[-1][1], frames[-2][1])
    assert change(answers[-1], answers[-2]) < 0.2 * before
    # The mean of many is nearer the truth, here 0, than each of them.
    assert answers[-1] is not None
    assert (
        np.abs(answers[-1].residual_rgb).mean() < 0.45 * np.abs(frames[-1][1].residual_rgb).mean()
    )


def test_noise_of_the_source_is_averaged_as_well(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frames, sources = [], []
    for _ in range(14):
        noisy = still_rgb() + rng.normal(0, 2, (SIDE, SIDE, 1))
        patch = patch_of(np.clip(noisy.round(), 0, 255).astype(np.uint8))
        frames.append((patch, restored_of(patch, np.full((2 * SIDE, 2 * SIDE), 0.002))))
        sources.append(patch.rgb.astype(np.float64)[30:60, 35:60, 1] / 255)
    answers = steadied(tmp_path, frames)
    shown = [
        source + answer.residual_rgb.astype(np.float64)[60:120:2, 70:120:2, 1]
        for source, answer in zip(sources, answers, strict=True)
        if answer is not None
    ]
    steps = [
        float(np.abs(b - a).mean()) for a, b in ((shown[-2], shown[-1]), (sources[-2], sources[-1]))
    ]
    assert steps[0] < 0.7 * steps[1]


def test_what_moves_on_its_own_leaves_no_trail(tmp_path: Path) -> None:
    """A bright bar crosses a still face: behind it there must be nothing of it."""
    frames = []
    for index in range(8):
        rgb = still_rgb().copy()
        rgb[34:64, 20 + 7 * index : 27 + 7 * index] = 250
        patch = patch_of(rgb)
        frames.append((patch, restored_of(patch, np.full((2 * SIDE, 2 * SIDE), 0.01))))
    answers = steadied(tmp_path, frames)
    for (_, plain), answer in zip(frames, answers, strict=True):
        assert answer is not None
        trail = answer.residual_rgb.astype(np.float32) - plain.residual_rgb
        assert np.abs(trail).max() < 0.035


def test_a_change_of_light_is_shown_at_once(tmp_path: Path) -> None:
    frames = []
    for light in (0, 0, 0, 25, 25):
        patch = patch_of((still_rgb() * 0.8 + light).astype(np.uint8))
        frames.append((patch, restored_of(patch, np.full((2 * SIDE, 2 * SIDE), 0.01))))
    answers = steadied(tmp_path, frames)
    for (_, plain), answer in zip(frames, answers, strict=True):
        assert answer is not None
        added = answer.residual_rgb.astype(np.float32) - plain.residual_rgb
        assert abs(float(added[60:130, 60:130].mean())) < 0.004


def test_a_track_that_misses_a_frame_or_has_another_number_starts_afresh(tmp_path: Path) -> None:
    first, second = (
        (patch_of(still_rgb()), restored_of(patch_of(still_rgb()), detail))
        for detail in noisy_details(2)
    )
    other = (replace(second[0], track_id=2), replace(second[1], track_id=2))
    assert steadied(tmp_path, [first, None, second])[2] is second[1]
    assert steadied(tmp_path, [first, other])[1] is other[1]
    blended = steadied(tmp_path, [first, second])[1]
    assert blended is not None
    assert change(blended, second[1]) > 0


def test_where_nothing_was_restored_nothing_changes(tmp_path: Path) -> None:
    patches = [patch_of(still_rgb()), patch_of(np.roll(still_rgb(), 1, axis=0))]
    nothing = np.zeros((2 * SIDE, 2 * SIDE))
    frames = [(patch, restored_of(patch, nothing)) for patch in patches]
    for (_, plain), answer in zip(frames, steadied(tmp_path, frames), strict=True):
        assert answer is plain


def test_outside_the_mask_nothing_appears_and_memory_can_be_turned_off(tmp_path: Path) -> None:
    frames = []
    for detail in noisy_details(3):
        patch = patch_of(still_rgb())
        frames.append((patch, restored_of(patch, detail)))
    last = steadied(tmp_path, frames)[-1]
    assert last is not None
    covered = restored_of(frames[0][0], np.ones((2 * SIDE, 2 * SIDE))).residual_rgb != 0
    assert not last.residual_rgb[~covered].any()
    off = steadied(tmp_path, frames, SteadyConfig(memory_frames=1))
    assert [answer is plain for answer, (_, plain) in zip(off, frames, strict=True)] == [True] * 3


def test_a_face_at_the_border_takes_nothing_from_beyond_it(tmp_path: Path) -> None:
    """The region grows as the face comes in: the earlier one has no pixels for the new part."""
    whole = patch_of(still_rgb())
    inside = whole.rgb[:, 40:]
    half = replace(
        whole,
        rgb=inside,
        region_xyxy_px=(140, 60, 100 + SIDE, 60 + SIDE),
        crop_from_region=geometry.compose(whole.crop_from_region, geometry.translation(40, 0)),
    )
    first, second = (
        replace(restored_of(whole, detail), region_xyxy_px=(0, 0, 0, 0))
        for detail in noisy_details(2)
    )
    cut = replace(first, residual_rgb=first.residual_rgb[:, 80:])
    answer = steadied(tmp_path, [(half, cut), (whole, second)])[1]
    assert answer is not None
    added = answer.residual_rgb.astype(np.float32) - second.residual_rgb
    assert not added[:, :78].any()
    assert added[:, 100:].any()


def test_strength_follows_slowly(tmp_path: Path) -> None:
    patch = patch_of(still_rgb())
    strengths = (1.0, 1.0, 0.2, 0.2)
    frames = [
        (patch, replace(restored_of(patch, detail), strength=strength))
        for detail, strength in zip(noisy_details(4), strengths, strict=True)
    ]
    found = [answer.strength for answer in steadied(tmp_path, frames) if answer is not None]
    assert found[:2] == [1.0, 1.0]
    assert 0.8 < found[2] < 0.95
    assert found[3] < found[2]


@pytest.mark.parametrize("start", [10, 14])
def test_warmed_up_it_goes_on_as_if_it_had_seen_everything(tmp_path: Path, start: int) -> None:
    frames = []
    for index, detail in enumerate(noisy_details(20)):
        patch = patch_of(np.roll(still_rgb(), index // 4, axis=1))
        frames.append((patch, restored_of(patch, detail)))
    whole, warm = steadied(tmp_path, frames), steadied(tmp_path, frames[start - 10 :])
    cold = steadied(tmp_path, frames[start:])
    assert change(whole[start], warm[10]) < 0.003
    assert change(whole[start], cold[0]) > 5 * change(whole[start], warm[10])


@pytest.mark.parametrize("rate", [2, 5, 10, 25, 60, None])
def test_the_warm_up_holds_every_frame_that_goes_into_a_face(rate: int | None) -> None:
    info = replace(info_of(frame_of(scene(64, 48))), average_rate=rate and Fraction(rate))
    for memory in (2, 12, 100):
        warmup_s = Steady(SteadyConfig(memory_frames=memory)).warmup_s(info)
        assert round(warmup_s * (rate or 25), 6) >= memory
        # The strength is smoothed in time, whatever the rate.
        assert round(warmup_s, 6) >= 0.9
    assert Steady(SteadyConfig(memory_frames=1)).warmup_s(info) == 0
