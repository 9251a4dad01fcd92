"""Enhance with a network that sees a face's history: it gets what belongs to each face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aminet.model_files import read_file, save_weights
from aminet.network import AMINet, AMINetConfig
from nodes.enhance import Enhance, EnhanceConfig
from nodes.enhance.warp import align_patches, bucket_of
from nodes.node import Inputs
from nodes.types import FaceHistory, FacePatch, FramePatches, FrameRestored, RestoredPatch
from tests.unit.nodes.enhance.test_enhance import CASES, remembered

CPU = torch.device("cpu")


def node_of(folder: Path, in_channels: int) -> Enhance:
    torch.manual_seed(0)
    sizes = AMINetConfig(width=8, depths=(1, 0, 0, 1), heads=(1, 1, 1, 1), stem_factor=4)
    network = AMINet(replace(sizes, in_channels=in_channels))
    torch.nn.init.normal_(network.tail.weight, std=0.02)
    file = folder / f"{in_channels}.safetensors"
    save_weights(network, file, protocol="camera")
    node = Enhance(EnhanceConfig(weights=str(file), device="cpu", max_batch=4))
    node.prepare(read_file)
    node.setup(1)
    return node


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Enhance:
    return node_of(tmp_path_factory.mktemp("weights"), 7)


def restored(node: Enhance, patches: Sequence[FacePatch]) -> tuple[RestoredPatch, ...]:
    inputs = Inputs({"patches": FramePatches(0, tuple(patches))})
    (outputs,) = node.process_batch([inputs])
    packet = outputs["restored"]
    assert isinstance(packet, FrameRestored)
    return packet.patches


def difference(a: RestoredPatch, b: RestoredPatch) -> float:
    return float(np.abs(a.residual_rgb.astype(np.float32) - b.residual_rgb).max())


@pytest.mark.parametrize("name", CASES)
def test_what_earlier_frames_say_lies_over_the_face(name: str) -> None:
    patch = CASES[name]
    same = FaceHistory(patch.rgb, np.full(patch.rgb.shape[:2], 51, np.uint8))
    known = replace(patch, history=same)
    aligned = align_patches([known, patch], bucket_of(patch), CPU, with_history=True)
    size_px = patch.size_px
    assert aligned.shape == (2, 7, size_px, size_px)
    assert torch.equal(aligned[:, :3], aligned[:, 3:6])
    assert torch.allclose(aligned[0, 6], torch.tensor(0.2), atol=1e-3)
    assert not aligned[1, 6].any()
    alone = align_patches([patch], bucket_of(patch), CPU)
    assert torch.allclose(aligned[1, :3], alone[0], atol=1e-5)


def test_a_history_twice_as_fine_lies_over_the_face() -> None:
    """A slip of half a pixel would show; pixel (2 i, 2 j) lies on pixel (i, j)."""
    patch = CASES["medium, quarter turn"]
    rgb = patch.rgb
    y, x = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]]
    fine_y, fine_x = np.mgrid[0 : 2 * rgb.shape[0], 0 : 2 * rgb.shape[1]] / 2
    slope = np.repeat((2 * x + y)[..., None], 3, axis=2).astype(np.uint8)
    fine = np.repeat((2 * fine_x + fine_y)[..., None], 3, axis=2).astype(np.uint8)
    history = FaceHistory(fine, np.full(rgb.shape[:2], 51, np.uint8))
    assert history.finer == 2
    known = replace(patch, rgb=slope, history=history)
    aligned = align_patches([known], bucket_of(known), CPU, with_history=True)[0]
    middle = slice(24, 104)
    off = (aligned[3:6] - aligned[:3])[:, middle, middle] * 255
    # The codes of the fine picture are rounded down by a quarter on average.
    assert abs(float(off.mean()) + 0.25) < 0.15
    assert float(off.abs().max()) < 1.1


@pytest.mark.parametrize("name", CASES)
def test_a_history_changes_what_is_added(seeing: Enhance, name: str) -> None:
    patch = CASES[name]
    known = replace(patch, history=remembered(patch, 200))
    weightless = replace(
        patch, history=FaceHistory(patch.rgb, np.zeros(patch.rgb.shape[:2], np.uint8))
    )
    without, same, other = restored(seeing, [patch, weightless, known])
    assert difference(without, same) <= 1e-3
    assert difference(without, other) > 5e-3


def test_a_faces_answer_does_not_depend_on_other_faces_histories(seeing: Enhance) -> None:
    faces = [
        replace(patch, history=remembered(patch, 30 * place)) if place % 2 else patch
        for place, patch in enumerate(CASES.values())
    ]
    together = restored(seeing, faces)
    for face, answer in zip(faces, together, strict=True):
        (alone,) = restored(seeing, [face])
        assert difference(alone, answer) <= 1e-3


def test_a_network_without_history_does_not_see_it(tmp_path: Path) -> None:
    node = node_of(tmp_path, 3)
    for patch in CASES.values():
        a, b = restored(node, [patch, replace(patch, history=remembered(patch, 200))])
        assert np.array_equal(a.residual_rgb, b.residual_rgb)
