"""Enhance: faces keep their place through the warps, and no face depends on its neighbours."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pydantic import ValidationError

from aminet.errors import DeviceError
from aminet.files import read_file
from aminet.model_files import save_weights
from aminet.network import AMINet, AMINetConfig
from nodes.enhance import Enhance, EnhanceConfig
from nodes.enhance.warp import (
    align_patches,
    bucket_of,
    cut_to_regions,
    mask_residuals,
    unalign_residuals,
)
from nodes.geometry import alignment as geometry
from nodes.geometry.alignment import face_oval_mask
from nodes.node import Inputs
from nodes.types import FaceHistory, FacePatch, FramePatches, FrameRestored, RestoredPatch, RgbImage
from tests.support.faces import face_at, portrait

CPU = torch.device("cpu")


def coded(rgb: npt.NDArray[np.floating], depth: int) -> RgbImage:
    codes = np.rint(rgb * ((1 << depth) - 1))
    return codes.astype(np.uint8) if depth == 8 else codes.astype(np.uint16)


def patch_of(
    eyes_px: float,
    *,
    turn_deg: float = 0,
    scale: int = 1,
    size_px: int = 128,
    depth: int = 8,
    rgb: npt.NDArray[np.floating] | None = None,
    middle: tuple[float, float] | None = None,
) -> FacePatch:
    """Cut a face out of a picture in [0, 1], by default of smooth waves."""
    side = int(eyes_px * 4.6) // 2 * 2 + 2
    if rgb is None:
        y, x = np.mgrid[0:side, 0:side] + 0.5
        wave = 0.5 + 0.3 * np.sin(x / eyes_px * 2) * np.cos(y / eyes_px * 2.3)
        rgb = np.stack([wave, 0.8 * wave, 1 - wave], axis=2)
    height, width = rgb.shape[:2]
    turn = np.radians(turn_deg)
    upright = face_at(0, 0, eyes_px).points_px
    centre = middle or (width / 2, height / 2 - 0.2 * eyes_px)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = upright @ rotation.T + centre
    return FacePatch(
        track_id=1,
        rgb=coded(rgb, depth),
        bit_depth=depth,
        region_xyxy_px=(10, 20, 10 + width, 20 + height),
        crop_from_region=geometry.crop_from_frame(points, size_px),
        size_px=size_px,
        scale=scale,
    )


CASES = {
    "tiny": patch_of(8),
    "small, turned": patch_of(12, turn_deg=25),
    "medium, quarter turn": patch_of(25, turn_deg=90),
    "doubled, turned back": patch_of(20, turn_deg=-35, scale=2, size_px=192),
    "four times": patch_of(14, turn_deg=5, scale=4, size_px=256),
    "large": patch_of(45, turn_deg=10, size_px=192),
    "larger than its square": patch_of(80, size_px=128),
    "10 bit": patch_of(20, turn_deg=3, depth=10),
    "soft, at half strength": replace(patch_of(20), blur_px=1.5, strength=0.5, lossy=True),
}


def remembered(patch: FacePatch, weight: int) -> FaceHistory:
    """Return a history of another face."""
    turned: RgbImage = patch.rgb[::-1, ::-1].copy()
    return FaceHistory(turned, np.full(patch.rgb.shape[:2], weight, np.uint8))


def centroid(weights: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[0 : weights.shape[0], 0 : weights.shape[1]] + 0.5
    total = weights.sum(dtype=np.float64)
    return np.array([(weights * x).sum() / total, (weights * y).sum() / total])


def blob(
    height: int, width: int, x_px: float, y_px: float, sigma_px: float
) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2 * sigma_px**2))


@pytest.mark.parametrize("name", CASES)
def test_a_spot_keeps_its_place_to_a_tenth_of_a_pixel(name: str) -> None:
    """Region -> square -> output grid; a slip of half a pixel anywhere would show."""
    patch = CASES[name]
    height, width = patch.rgb.shape[:2]
    eyes_px = patch.eye_distance_px
    spot = blob(height, width, width / 2 + 1.3, height / 2 - 0.4, 0.22 * eyes_px)
    top = (1 << patch.bit_depth) - 1
    drawn = coded(np.repeat(spot[..., None], 3, axis=2), patch.bit_depth)
    spotted = replace(patch, rgb=drawn)
    bucket = bucket_of(spotted)
    aligned = align_patches([spotted], bucket, CPU)
    assert aligned.shape == (1, 3, patch.size_px, patch.size_px)
    there = geometry.apply(patch.crop_from_region, centroid(drawn[..., 0] / top)[None])[0]
    pixel_in_square = patch.size_px * geometry.EYES_OF_SIZE / eyes_px
    slip = np.abs(centroid(aligned[0, 0].numpy()) - there).max() / pixel_in_square
    assert slip < 0.1
    (back,) = cut_to_regions(unalign_residuals(aligned, [spotted], bucket), [spotted])
    assert back.shape == (height * patch.scale, width * patch.scale, 3)
    place = centroid(back[..., 0].astype(np.float64)) / patch.scale
    assert place == pytest.approx(centroid(drawn[..., 0] / top), abs=0.1)
    assert back[..., 0].sum(dtype=np.float64) / patch.scale**2 == pytest.approx(
        drawn[..., 0].sum() / top, rel=0.03
    )


def test_aligning_with_the_identity_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (128, 128, 3)).astype(np.uint8)
    patch = FacePatch(1, rgb, 8, (0, 0, 128, 128), geometry.translation(0, 0), 128, 1)
    aligned = align_patches([patch], bucket_of(patch), CPU)
    assert torch.allclose(
        aligned[0].permute(1, 2, 0) * 255, torch.from_numpy(rgb).float(), atol=0.02
    )


def test_a_shift_of_half_a_pixel_averages_neighbours() -> None:
    rgb = np.zeros((128, 128, 3), np.uint8)
    rgb[:, 40] = 200
    patch = FacePatch(1, rgb, 8, (0, 0, 128, 128), geometry.translation(0.5, 0), 128, 1)
    row = align_patches([patch], bucket_of(patch), CPU)[0, 0, 64] * 255
    assert row[40] == pytest.approx(float(row[41]), abs=0.1)
    assert 100 < row[40] < 130


@pytest.mark.parametrize("name", ["tiny", "small, turned", "medium, quarter turn", "large"])
def test_minified_residuals_are_what_averaging_a_much_finer_grid_gives(name: str) -> None:
    patch, fine = CASES[name], 8
    size = patch.size_px
    rough = torch.randn((1, 3, size, size), generator=torch.Generator().manual_seed(0))
    residuals = rough * torch.from_numpy(face_oval_mask(size).copy())
    (back,) = cut_to_regions(unalign_residuals(residuals, [patch], bucket_of(patch)), [patch])
    height, width = patch.rgb.shape[:2]
    centres = (np.mgrid[0 : height * fine, 0 : width * fine][::-1] + 0.5).reshape(2, -1).T / fine
    there = geometry.apply(patch.crop_from_region, centres) / size * 2 - 1
    grid = torch.from_numpy(there.astype(np.float32)).reshape(1, height * fine, width * fine, 2)
    sampled = torch.nn.functional.grid_sample(residuals, grid, "bicubic", align_corners=False)
    expected = torch.nn.functional.avg_pool2d(sampled, fine)[0].permute(1, 2, 0).numpy()
    error = np.sqrt(np.mean((back.astype(np.float32) - expected) ** 2))
    # White noise is the hardest there is; on natural detail it is a quarter of this.
    assert error < 0.2 * np.sqrt(np.mean(expected**2))


def test_a_region_larger_than_its_square_does_not_alias() -> None:
    patch = CASES["larger than its square"]
    height, width = patch.rgb.shape[:2]
    stripes = np.tile(np.arange(width) % 2, (height, 1))[..., None].repeat(3, axis=2)
    striped = replace(patch, rgb=coded(stripes.astype(np.float64), 8))
    aligned = align_patches([striped], bucket_of(striped), CPU)[0, 0, 30:-30, 30:-30]
    assert float(aligned.std()) < 0.08


def test_masked_residuals_are_zero_outside_the_oval_and_carry_no_slow_colour() -> None:
    patch = CASES["medium, quarter turn"]
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    slow = torch.stack([0.2 + 0 * x, -0.1 + 0.001 * x, 0.001 * y])[None]
    fine = 0.1 * torch.sin(x * 1.5)[None, None]
    kept = mask_residuals(slow + fine, [patch])
    mask = torch.from_numpy(face_oval_mask(128).copy())
    assert not kept[..., mask == 0].any()
    face = mask > 0.99
    assert float((kept - fine)[..., face].abs().mean()) < 0.02
    assert float(kept[..., face].mean(dim=-1).abs().max()) < 0.01


def test_what_lies_outside_the_frame_has_no_say_in_the_slow_colour() -> None:
    """Half the square is outside; a network gone wild there must not tint the other half."""
    whole = CASES["medium, quarter turn"]
    left = geometry.crop_from_frame(face_at(0, 60, 25).points_px, 128)
    cut = FacePatch(1, whole.rgb, 8, whole.region_xyxy_px, left, 128, 1)
    residuals = torch.zeros(1, 3, 128, 128)
    residuals[..., :60] = 1.0
    kept = mask_residuals(residuals, [cut])
    assert float(kept[..., 70:].abs().max()) < 0.02


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the smallest network there is."""
    torch.manual_seed(0)
    network = AMINet(AMINetConfig(width=8, depths=(1, 1, 1, 1), heads=(1, 1, 1, 1)))
    torch.nn.init.normal_(network.tail.weight, std=0.02)
    file = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(network, file, protocol="camera")
    return file


@pytest.fixture(scope="module")
def enhance(weights: Path) -> Enhance:
    node = Enhance(EnhanceConfig(weights=str(weights), device="cpu", max_batch=3))
    node.prepare(read_file)
    node.setup(1)
    return node


def frames(*groups: Sequence[FacePatch]) -> list[Inputs]:
    return [
        Inputs({"patches": FramePatches(index, tuple(group))}) for index, group in enumerate(groups)
    ]


def restore(node: Enhance, inputs: list[Inputs]) -> list[tuple[RestoredPatch, ...]]:
    answers: list[tuple[RestoredPatch, ...]] = []
    for wanted, outputs in zip(inputs, node.process_batch(inputs), strict=True):
        packet = outputs["restored"]
        assert isinstance(packet, FrameRestored)
        assert packet.pts == wanted.pts
        answers.append(packet.patches)
    return answers


def test_every_face_comes_back_in_its_place_on_the_output_grid(enhance: Enhance) -> None:
    groups = [list(CASES.values())[:3], [], list(CASES.values())[3:]]
    for group, restored in zip(groups, restore(enhance, frames(*groups)), strict=True):
        assert len(group) == len(restored)
        for patch, answer in zip(group, restored, strict=True):
            region = tuple(side * patch.scale for side in patch.region_xyxy_px)
            assert answer.region_xyxy_px == region
            assert answer.residual_rgb.dtype == np.float16
            x0, y0, x1, y1 = region
            assert answer.residual_rgb.shape == (y1 - y0, x1 - x0, 3)
            assert answer.residual_rgb.any()
            assert np.isfinite(answer.residual_rgb).all()
            assert answer.strength == patch.strength
            assert answer.consistency_db is not None


def test_a_faces_answer_does_not_depend_on_the_batch(enhance: Enhance) -> None:
    picture = np.asarray(portrait(110)) / 255
    faces = [
        patch_of(14, rgb=picture, middle=(31 + shift, 44), turn_deg=shift) for shift in range(7)
    ]
    alone = [restore(enhance, frames([face]))[0][0] for face in faces]
    mixed = restore(enhance, frames(faces[:4], [*CASES.values()], faces[4:]))
    together = [*mixed[0], *mixed[2]]
    for one, other in zip(alone, together, strict=True):
        difference = one.residual_rgb.astype(np.float32) - other.residual_rgb.astype(np.float32)
        assert np.abs(difference).max() <= 1e-4


def test_exact_answers_are_the_same_to_the_last_bit(weights: Path) -> None:
    picture = np.asarray(portrait(110)) / 255
    faces = [
        patch_of(14, rgb=picture, middle=(31 + shift, 44), turn_deg=shift) for shift in range(7)
    ]
    answers: list[list[bytes]] = []
    for max_batch, threads, groups in ((1, 1, [[face] for face in faces]), (5, 2, [faces])):
        settings = EnhanceConfig(
            weights=str(weights), device="cpu", max_batch=max_batch, exact=True
        )
        node = Enhance(settings)
        node.prepare(read_file)
        node.setup(threads)
        restored = restore(node, frames(*groups))
        answers.append([face.residual_rgb.tobytes() for group in restored for face in group])
    assert answers[0] == answers[1]
    assert len(answers[0]) == len(faces)


def test_the_self_ensemble_restores_a_face_and_its_mirror_image_alike(
    weights: Path, enhance: Enhance
) -> None:
    both = Enhance(EnhanceConfig(weights=str(weights), device="cpu", self_ensemble=True))
    both.prepare(read_file)
    both.setup(1)
    middle = geometry.translation(0, 0)
    rgb = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    face, mirrored = (
        FacePatch(1, p, 8, (0, 0, 128, 128), middle, 128, 1) for p in (rgb, rgb[:, ::-1])
    )
    ((a, b),) = restore(both, frames([face, mirrored]))
    assert a.residual_rgb == pytest.approx(b.residual_rgb[:, ::-1], abs=2e-3)
    ((once,),) = restore(enhance, frames([face]))
    assert np.abs(a.residual_rgb - once.residual_rgb).max() > 5e-3


def test_faces_of_any_size_and_depth_share_a_batch_if_their_squares_do(enhance: Enhance) -> None:
    names = ("tiny", "small, turned", "10 bit")
    assert len({(bucket_of(CASES[name]), CASES[name].bit_depth) for name in names}) == 3
    before = enhance.report()["batches"]
    restore(enhance, frames([CASES[name] for name in names]))
    assert enhance.report()["batches"] == before + 1


def test_frames_without_faces_need_no_setup() -> None:
    node = Enhance(EnhanceConfig(weights="no such weights"))
    inputs = frames([], [])
    assert [node.weight(each) for each in inputs] == [0, 0]
    assert restore(node, inputs) == [(), ()]


def test_weight_is_the_number_of_faces(enhance: Enhance) -> None:
    (inputs,) = frames(list(CASES.values()))
    assert enhance.weight(inputs) == len(CASES)
    assert enhance.max_batch == 3


def test_bicubic_adds_nothing() -> None:
    node = Enhance(EnhanceConfig(weights="bicubic", device="cpu"))
    node.setup(1)
    ((restored,),) = restore(node, frames([CASES["doubled, turned back"]]))
    assert not restored.residual_rgb.any()
    assert restored.consistency_db is None
    assert node.report()["sha256"] is None
    assert node.report()["faces"] == 1


def test_report_names_the_weights(weights: Path) -> None:
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    node = Enhance(EnhanceConfig(weights=str(weights), device="cpu", max_batch=2))
    node.prepare(read_file)
    assert node.content_id() == sha256
    node.setup(1)
    restore(node, frames([CASES["tiny"]] * 5))
    assert node.report() == {
        "weights": str(weights),
        "sha256": sha256,
        "generative": False,
        "device": "cpu",
        "faces": 5,
        "failed_faces": 0,
        "batches": 3,
    }


def test_a_gpu_that_is_not_there_is_refused() -> None:
    count = torch.cuda.device_count()
    node = Enhance(EnhanceConfig(weights="bicubic", device=f"cuda:{count}"))
    with pytest.raises(DeviceError, match=r"sees \d+ CUDA GPU"):
        node.setup(1)


def test_unknown_devices_are_refused_before_anything_runs() -> None:
    with pytest.raises(ValidationError, match="device"):
        EnhanceConfig(device="gpu")


def test_prepared_it_travels_with_its_weights(weights: Path, tmp_path: Path) -> None:
    card = weights.with_suffix(".json")
    here, there = tmp_path / weights.name, tmp_path / card.name
    here.write_bytes(weights.read_bytes())
    there.write_bytes(card.read_bytes())
    node = Enhance(EnhanceConfig(weights=str(here), device="cpu", max_batch=5))
    node.prepare(read_file)
    here.unlink()
    there.unlink()
    twin: Enhance = pickle.loads(pickle.dumps(node))  # noqa: S301
    twin.setup(1)
    assert twin.max_batch == 5
    ((restored,),) = restore(twin, frames([CASES["tiny"]]))
    assert restored.residual_rgb.any()


def test_weights_that_nobody_read_are_not_taken_for_none(weights: Path) -> None:
    with pytest.raises(RuntimeError, match="before prepare"):
        Enhance(EnhanceConfig(weights=str(weights))).setup(1)


@pytest.mark.parametrize("case", CASES)
def test_what_travels_is_told_to_the_byte(case: str) -> None:
    patch = CASES[case]
    node = Enhance(EnhanceConfig(weights="bicubic"))
    node.setup(1)
    inputs = Inputs({"patches": FramePatches(0, (patch, patch))})
    restored = node.process_batch([inputs])[0]["restored"]
    assert isinstance(restored, FrameRestored)
    answer = sum(one.residual_rgb.nbytes for one in restored.patches)
    assert node.travel_bytes(inputs) == 2 * patch.rgb.nbytes + answer
    known = replace(patch, history=remembered(patch, 100))
    history = patch.rgb.nbytes + patch.rgb.size // 3
    one = Inputs({"patches": FramePatches(0, (known,))})
    assert node.travel_bytes(one) == patch.rgb.nbytes + history + answer // 2
