"""Weights whose answers are no pictures: no face is wrecked, and none is silently left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aminet.model_files import read_file, save_weights
from aminet.network import AMINet
from nodes.enhance import Enhance, EnhanceConfig
from nodes.enhance.finite import MOST_RESIDUAL, usable
from nodes.errors import NodeConfigError
from nodes.geometry.alignment import crop_from_frame
from nodes.node import Inputs
from nodes.types import FacePatch, FramePatches, FrameRestored
from tests.support.faces import TINY, face_at


def patch(track_id: int) -> FacePatch:
    return FacePatch(
        track_id=track_id,
        rgb=np.full((80, 80, 3), 50 * track_id, np.uint8),
        bit_depth=8,
        region_xyxy_px=(10, 20, 90, 100),
        crop_from_region=crop_from_frame(face_at(40, 36, 16).points_px, 128),
        size_px=128,
        scale=1,
    )


def enhancer(folder: Path, value: float | None = None) -> Enhance:
    """Return an enhancer of small weights, one of which has that value."""
    torch.manual_seed(0)
    network = AMINet(TINY)
    with torch.no_grad():
        network.tail.weight.normal_(std=0.02)
        if value is not None:
            network.tail.weight.fill_(value)
    path = folder / "w.safetensors"
    save_weights(network, path, protocol="camera")
    node = Enhance(EnhanceConfig(weights=str(path), device="cpu"))
    node.prepare(read_file)
    node.setup(1)
    return node


def restored(node: Enhance, *patches: FacePatch) -> FrameRestored:
    (outputs,) = node.process_batch([Inputs({"patches": FramePatches(0, patches)})])
    found = outputs["restored"]
    assert isinstance(found, FrameRestored)
    return found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, 1e6])
def test_a_network_that_fails_for_all_faces_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(NodeConfigError, match="weights are damaged"):
        restored(enhancer(tmp_path, value), patch(1), patch(2))


def test_a_face_that_fails_stays_as_it_was_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = enhancer(tmp_path)
    plain = restored(node, patch(1), patch(2), patch(3))
    answer = node.residuals

    def spoiled(aligned: torch.Tensor) -> torch.Tensor:
        residuals = answer(aligned).clone()
        residuals[1, 2, 5, 7] = float("nan")
        return residuals

    monkeypatch.setattr(node, "residuals", spoiled)
    found = restored(node, patch(1), patch(2), patch(3))
    assert not found.patches[1].residual_rgb.any()
    for place in (0, 2):
        np.testing.assert_array_equal(
            found.patches[place].residual_rgb, plain.patches[place].residual_rgb
        )
        assert found.patches[place].residual_rgb.any()
    assert node.report()["failed_faces"] == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 101.0, -1e9])
def test_one_value_makes_a_face_unusable_and_no_other(value: float) -> None:
    residuals = torch.full((3, 3, 8, 8), MOST_RESIDUAL)
    residuals[1, 0, 0, 0] = value
    kept, good = usable(residuals)
    assert good.tolist() == [True, False, True]
    assert not kept[1].any()
    assert (kept[[0, 2]] == MOST_RESIDUAL).all()
