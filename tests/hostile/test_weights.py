"""Weights whose answers are no pictures: no face is wrecked, and none is silently left out."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from aminet.errors import WeightsError
from aminet.model_files import load_network, read_file, save_weights
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


Header = dict[str, Any]


def entry(header: Header, number: int = 0) -> Header:
    return header[[name for name in header if name != "__metadata__"][number]]


def overlapping(header: Header) -> None:
    entry(header, 1)["data_offsets"] = entry(header)["data_offsets"]


def behind_the_end(header: Header) -> None:
    entry(header)["data_offsets"] = [0, 1 << 40]


def before_the_start(header: Header) -> None:
    entry(header)["data_offsets"] = [-8, 8]


def huge(header: Header) -> None:
    entry(header)["shape"] = [1 << 40, 1 << 40]


def unknown(header: Header) -> None:
    entry(header)["dtype"] = "F99"


def described(folder: Path, change: Callable[[bytes], bytes], **network: Any) -> Path:
    """Write weights that were changed, with a card that has their SHA-256."""
    path = folder / "w.safetensors"
    save_weights(AMINet(TINY), path, protocol="camera")
    path.write_bytes(change(path.read_bytes()))
    card = json.loads(path.with_suffix(".json").read_bytes())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    card["network"] |= network
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


@pytest.mark.parametrize("change", [overlapping, behind_the_end, before_the_start, huge, unknown])
def test_a_forged_header_is_refused(change: Callable[[Header], None], tmp_path: Path) -> None:
    def forged(content: bytes) -> bytes:
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        change(header)
        made = json.dumps(header).encode()
        return struct.pack("<Q", len(made)) + made + content[8 + length :]

    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_network(described(tmp_path, forged))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 1 << 63) + b"{}",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
    ids=["empty", "no-header", "huge-header", "deep-header"],
)
def test_a_file_that_is_no_safetensors_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_network(described(tmp_path, lambda _: content))
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_network(described(tmp_path, lambda whole: whole[: len(whole) // 2]))


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.int64])
def test_weights_that_are_no_fractions_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    def converted(content: bytes) -> bytes:
        return save({name: tensor.to(dtype) for name, tensor in load(content).items()})

    with pytest.raises(WeightsError, match="floating-point"):
        load_network(described(tmp_path, converted))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".json"])
def test_a_pipe_in_place_of_weights_or_of_their_card_is_refused(
    suffix: str, tmp_path: Path
) -> None:
    path = described(tmp_path, bytes)
    path.with_suffix(suffix).unlink(missing_ok=True)
    os.mkfifo(path.with_suffix(suffix))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(path.with_suffix(".pt" if suffix == ".pt" else ".safetensors"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "network",
    [
        {"depths": [10**9, 1, 1, 1]},
        {"depths": [-1, 1, 1, 1]},
        {"width": 10**6},
        {"width": -8},
        {"width": 2**70},
        {"stem_factor": 10**9},
        {"in_channels": 10**7},
        {"heads": [3, 5, 7, 9]},
    ],
    ids=str,
)
def test_a_card_of_a_network_that_nobody_can_build_is_refused(
    network: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(WeightsError):
        load_network(described(tmp_path, bytes, **network))
