"""Fuse: the past of a face lies where the face is, and what changed is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from nodes.fuse import Fuse, FuseConfig
from nodes.geometry import alignment as geometry
from nodes.node import Inputs
from nodes.types import FaceHistory, FacePatch, FramePatches, FusedPatches, RgbImage
from tests.support.faces import face_at, frame_of, info_of, portrait, scene, segment_in

SIDE = 96
MIDDLE = (48.0, 42.0)
EYES_PX = 22.0
FACE = slice(24, 72)


def clean(x_px: float = 0, y_px: float = 0) -> npt.NDArray[np.float64]:
    """Draw a face that is so many pixels to the right and lower, as soft as a camera's."""
    large = portrait(4 * SIDE).filter(ImageFilter.GaussianBlur(2.4))
    moved = large.transform(
        large.size, Image.Transform.AFFINE, (1, 0, -4 * x_px, 0, 1, -4 * y_px), 3
    )
    return np.asarray(moved.reduce(4), np.float64)


def patch_of(rgb: npt.NDArray[np.floating], *, off_px: float = 0, track_id: int = 1) -> FacePatch:
    points = face_at(MIDDLE[0] + off_px, MIDDLE[1] - off_px, EYES_PX).points_px
    return FacePatch(
        track_id=track_id,
        rgb=np.clip(rgb.round(), 0, 255).astype(np.uint8),
        bit_depth=8,
        region_xyxy_px=(100, 60, 100 + rgb.shape[1], 60 + rgb.shape[0]),
        crop_from_region=geometry.crop_from_frame(points, 128),
        size_px=128,
        scale=1,
    )


def noisy(count: int, *, step_px: float = 0, seed: int = 0, level: float = 4) -> list[FacePatch]:
    """Film a face that moves by so much a frame, with landmarks that tremble."""
    rng = np.random.default_rng(seed)
    patches: list[FacePatch] = []
    for index in range(count):
        rgb = clean(step_px * index, -0.7 * step_px * index)
        grain = rng.normal(0, level, rgb.shape)
        patches.append(patch_of(rgb + grain, off_px=step_px * index + 0.3 * (-1) ** index))
    return patches


def opened(config: FuseConfig | None = None, rate: int = 25) -> Fuse:
    node = Fuse(config or FuseConfig())
    info = replace(info_of(frame_of(scene(64, 48))), time_base=Fraction(1, rate))
    node.setup(1)
    node.open(segment_in(Path()), {"patches": info})
    return node


def fed(node: Fuse, frames: Sequence[Sequence[FacePatch]], first_pts: int = 0) -> list[FacePatch]:
    """Give a node so many frames; return the patches of the last one."""
    answers: tuple[FacePatch, ...] = ()
    for pts, patches in enumerate(frames, first_pts):
        packet = node.process(Inputs({"patches": FramePatches(pts, tuple(patches))}))["patches"]
        assert isinstance(packet, FusedPatches)
        assert packet.pts == pts
        answers = packet.patches
    return list(answers)


def fused(patches: Sequence[FacePatch], config: FuseConfig | None = None) -> FacePatch:
    return fed(opened(config), [[patch] for patch in patches])[-1]


def history_of(patch: FacePatch) -> FaceHistory:
    """Return a patch's history on its own grid."""
    history = patch.history
    assert history is not None
    finer = history.finer
    assert history.fused_rgb.shape == (finer * SIDE, finer * patch.rgb.shape[1], 3)
    assert history.fused_rgb.dtype == patch.rgb.dtype
    assert history.weight.shape == patch.rgb.shape[:2]
    return replace(history, fused_rgb=history.fused_rgb[::finer, ::finer])


def error(rgb: RgbImage, truth: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(((rgb.astype(np.float64) - truth)[FACE, FACE] ** 2).mean()))


def mean_weight(patch: FacePatch) -> float:
    return float(history_of(patch).weight[FACE, FACE].mean()) / 255


@pytest.mark.parametrize("step_px", [0, 0.37, 1.6])
def test_noise_is_averaged_where_the_face_is_now(step_px: float) -> None:
    patches = noisy(9, step_px=step_px)
    last = fused(patches)
    truth = clean(8 * step_px, -0.7 * 8 * step_px)
    assert error(history_of(last).fused_rgb, truth) < 0.6 * error(last.rgb, truth)
    assert mean_weight(last) > 0.75


@pytest.mark.parametrize(("size_px", "finer"), [(256, 2), (160, 2), (128, 1), (96, 1)])
def test_the_mean_is_finer_where_the_networks_square_is(size_px: int, finer: int) -> None:
    """The square's sides are 86 pixels of the source."""
    points = face_at(48, 48, SIDE * 0.9 * geometry.EYES_OF_SIZE).points_px
    crop = geometry.crop_from_frame(points, size_px)
    patches = [replace(p, size_px=size_px, crop_from_region=crop) for p in noisy(3)]
    history = fused(patches).history
    assert history is not None
    assert history.finer == finer


def test_the_transform_from_the_frame_before_is_found() -> None:
    last = fused(noisy(6, step_px=0.8, level=1))
    assert last.region_from_before is not None
    moved = geometry.apply(last.region_from_before, np.array([[48.0, 48.0]])) - 48
    assert np.allclose(moved, [[0.8, -0.56]], atol=0.06)


def test_a_photograph_and_the_first_frame_of_a_track_have_no_past() -> None:
    (patch,) = noisy(1)
    last = fused([patch])
    assert last.history is None
    assert last.region_from_before is None
    assert np.array_equal(last.rgb, patch.rgb)


def test_another_number_a_missed_frame_and_another_segment_start_afresh() -> None:
    first, second, third = noisy(3)
    node = opened()
    assert fed(node, [[first], [second]])[0].history is not None
    assert fed(node, [[replace(third, track_id=2)]], 2)[0].region_from_before is None
    assert fed(node, [[first], [], [second]], 3)[0].history is None
    assert fed(node, [[third]], 6)[0].history is not None
    node.open(segment_in(Path()), {"patches": info_of(frame_of(scene(64, 48)))})
    assert fed(node, [[first]])[0].history is None


def test_two_faces_of_a_frame_do_not_mix() -> None:
    left, right = noisy(6), noisy(6, seed=9, step_px=0.5)
    right = [replace(patch, track_id=2) for patch in right]
    both = fed(opened(), list(zip(left, right, strict=True)))
    for patch, alone in zip(both, (left, right), strict=True):
        assert np.array_equal(history_of(patch).fused_rgb, history_of(fused(alone)).fused_rgb)


def test_after_a_cut_within_a_track_nothing_of_the_shot_before_is_left() -> None:
    before, after = noisy(6), noisy(3, seed=4)
    mirrored = [replace(patch, rgb=255 - patch.rgb[::-1]) for patch in after]
    node = opened()
    at_cut = fed(node, [[patch] for patch in (*before, mirrored[0])])[0]
    assert at_cut.history is None
    second = fed(node, [[mirrored[1]]], 7)[0]
    assert 0.3 < mean_weight(second) <= 0.51


def test_what_passes_before_a_face_leaves_no_ghost() -> None:
    """A bright bar goes over a still face: behind it lies the face alone."""
    bare = [patch.rgb for patch in noisy(9, level=1)]
    patches: list[FacePatch] = []
    for index, rgb in enumerate(bare):
        covered = rgb.copy()
        covered[30:66, 14 + 7 * index : 22 + 7 * index] = 250
        patches.append(patch_of(covered.astype(np.float64)))
    last = fused(patches)
    off = history_of(last).fused_rgb.astype(np.float64) - last.rgb
    assert np.abs(off[30:66, 20:66]).max() < 12
    assert history_of(last).weight[34:62, 72:76].max() < 40
    assert mean_weight(last) > 0.2


def test_a_blink_is_not_averaged_with_open_eyes() -> None:
    open_eyes = noisy(6, level=1)
    shut = open_eyes[-1].rgb.astype(np.float64)
    shut[34:46, 30:66] = shut[50:52, 40:56].mean(axis=(0, 1))
    last = fused([*open_eyes[:-1], patch_of(shut)])
    off = history_of(last).fused_rgb.astype(np.float64) - last.rgb
    assert np.abs(off[36:44, 34:62]).mean() < 4
    assert history_of(last).weight[70:80, 40:56].mean() > 150


def test_light_is_that_of_the_current_frame() -> None:
    """Dimmer from frame to frame, and more so on one side."""
    across = np.linspace(-1, 1, SIDE)[None, :, None]
    patches = [patch_of(clean() * (1 - index * (0.02 + 0.01 * across))) for index in range(7)]
    last = fused(patches)
    off = (history_of(last).fused_rgb.astype(np.float64) - last.rgb)[FACE, FACE]
    assert abs(off[:, :20].mean()) < 1
    assert abs(off[:, -20:].mean()) < 1
    assert mean_weight(last) > 0.5


def test_beyond_the_edge_of_an_earlier_patch_there_is_no_past() -> None:
    """The face comes into the frame, out of the dark: its region grows to the left."""
    whole = [patch_of(patch.rgb * (1 + 0.04 * n)) for n, patch in enumerate(noisy(3, level=1))]
    for patch in whole:
        patch.rgb[:, :30] = 1
    parts = [
        replace(
            patch,
            rgb=patch.rgb[:, 30:],
            crop_from_region=geometry.compose(patch.crop_from_region, geometry.translation(30, 0)),
        )
        for patch in whole
    ]
    history = history_of(fused([*parts[:-1], whole[-1]]))
    assert not history.weight[:, :28].any()
    assert np.array_equal(history.fused_rgb[:, :28], whole[-1].rgb[:, :28])
    assert history.weight[30:70, 40:60].mean() > 100


@pytest.mark.parametrize(("rate", "earlier"), [(25, 6), (10, 5), (4, 2), (1, 0)])
def test_half_a_second_is_remembered_whatever_the_frame_rate(rate: int, earlier: int) -> None:
    node = opened(rate=rate)
    still = patch_of(clean())
    last = fed(node, [[still]] * 12)[-1]
    if earlier:
        assert mean_weight(last) == pytest.approx(earlier / (earlier + 1), abs=0.01)
    else:
        assert last.history is None
        assert last.region_from_before is not None


def test_memory_is_bounded_however_many_faces_there_are() -> None:
    still = patch_of(clean())
    room = 3.5 * 4 * 4 * SIDE * SIDE
    node = opened(FuseConfig(memory_mb=room / 1e6))
    alone = fed(node, [[still]] * 9)[0]
    assert mean_weight(alone) == pytest.approx(3 / 4, abs=0.01)
    crowd = [replace(still, track_id=number) for number in (1, 2, 3)]
    many = fed(node, [crowd] * 9, 9)
    assert [mean_weight(patch) for patch in many] == pytest.approx([1 / 2] * 3, abs=0.01)
    assert fed(node, [[replace(still, track_id=n) for n in range(1, 9)]] * 3, 18)[0].history is None


def test_one_frame_makes_no_history_but_finds_the_transform() -> None:
    last = fused(noisy(5), FuseConfig(frames=1))
    assert last.history is None
    assert last.region_from_before is not None


def test_ten_bits_are_fused_as_eight_are() -> None:
    patches = noisy(8)
    deep = [replace(patch, rgb=patch.rgb.astype(np.uint16) * 4, bit_depth=10) for patch in patches]
    eight, ten = history_of(fused(patches)), history_of(fused(deep))
    assert np.abs(ten.fused_rgb / 4 - eight.fused_rgb).mean() < 0.4
    assert np.abs(ten.weight.astype(int) - eight.weight)[FACE, FACE].mean() < 2
    assert ten.fused_rgb.max() <= 1023


@pytest.mark.parametrize("start", [13, 20])
def test_warmed_up_it_goes_on_as_if_it_had_seen_everything(start: int) -> None:
    patches = noisy(start + 1, step_px=0.2)
    warmup = round(25 * Fuse.spec.warmup_s)
    whole, warm = history_of(fused(patches)), history_of(fused(patches[start - warmup :]))
    # Rounding only: one level in some samples, in more of them with older versions of OpenCV.
    assert np.abs(whole.fused_rgb.astype(int) - warm.fused_rgb).mean() < 0.1
    assert np.abs(whole.weight.astype(int) - warm.weight).mean() < 1
    cold = fused(patches[start - 2 :])
    assert np.abs(whole.weight.astype(int) - history_of(cold).weight).mean() > 20


def test_only_frames_of_the_segment_are_counted() -> None:
    node = Fuse(FuseConfig())
    segment = replace(segment_in(Path()), start_pts=3, warmup_pts=0)
    node.open(segment, {"patches": info_of(frame_of(scene(64, 48)))})
    fed(node, [[patch] for patch in noisy(5)])
    assert node.report() == {"faces": 2, "with_history": 2}
