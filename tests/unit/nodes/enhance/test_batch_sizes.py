"""Batches: bounded in pixels, and shared by faces that are reduced by different amounts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aminet.files import read_file
from aminet.model_files import save_weights
from aminet.network import AMINet
from nodes.enhance import Enhance, EnhanceConfig
from nodes.enhance.warp import bucket_of, unalign_residuals
from nodes.geometry.alignment import crop_from_frame
from nodes.node import Inputs
from nodes.types import FacePatch, FramePatches
from tests.support.faces import TINY, face_at


def face(size_px: int, scale: int = 1, eyes_px: float = 22) -> FacePatch:
    rgb = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    points = face_at(48, 44, eyes_px).points_px
    return FacePatch(
        track_id=1,
        rgb=rgb,
        bit_depth=8,
        region_xyxy_px=(0, 0, 96, 96),
        crop_from_region=crop_from_frame(points, size_px),
        size_px=size_px,
        scale=scale,
    )


@pytest.mark.parametrize(
    ("size_px", "expected"), [(128, [8]), (192, [3, 3, 2]), (256, [2] * 4), (512, [1] * 8)]
)
def test_a_batch_has_as_many_pixels_whatever_the_size_of_its_faces(
    size_px: int, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(AMINet(TINY), tmp_path / "w.safetensors", protocol="camera")
    config = EnhanceConfig(weights=str(tmp_path / "w.safetensors"), device="cpu", max_batch=8)
    node, batches = Enhance(config), list[int]()
    node.prepare(read_file)
    node.setup(1)

    def noted(aligned: torch.Tensor) -> torch.Tensor:
        batches.append(len(aligned))
        return torch.zeros(len(aligned), 3, *aligned.shape[2:])

    monkeypatch.setattr(node, "residuals", noted)
    packet = FramePatches(0, (face(size_px),) * 8)
    (answer,) = node.process_batch([Inputs({"patches": packet})])
    assert len(answer["restored"].patches) == 8  # pyright: ignore[reportAttributeAccessIssue]
    assert batches == expected


def test_faces_of_similar_size_are_warped_together_each_by_its_own_filter() -> None:
    faces = [face(128, eyes_px=22), face(128, eyes_px=26)]
    bucket = bucket_of(faces[0])
    assert bucket == bucket_of(faces[1])
    noise = torch.randn((2, 3, 128, 128), generator=torch.Generator().manual_seed(1))
    together = unalign_residuals(noise, faces, bucket)
    for place, each in enumerate(faces):
        alone = unalign_residuals(noise[place : place + 1], [each], bucket)
        assert torch.allclose(together[place], alone[0], atol=1e-5)
