"""The two looks: each chooses its weights, and the card alone says which faces are generative."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from aminet.model_files import read_file, save_weights
from aminet.network import AMINet, AMINetConfig
from nodes.enhance import Enhance, EnhanceConfig
from nodes.types import RestoredPatch
from tests.unit.nodes.enhance.test_enhance import CASES, frames, restore


class Invents(Enhance):
    """Adds stripes that the source does not have."""

    def residuals(self, aligned: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(aligned.shape[-1], dtype=torch.float32)
        return (0.4 * torch.sin(columns / 6)).expand(aligned[:, :3].shape).clone()


def restored_by(
    folder: Path, name: str, *, generative: bool, strength: float = 1.0
) -> tuple[RestoredPatch, Enhance]:
    torch.manual_seed(0)
    network = AMINet(AMINetConfig(width=8, depths=(1, 0, 0, 1), heads=(1, 1, 1, 1), stem_factor=4))
    file = folder / f"{name}.safetensors"
    save_weights(network, file, protocol="camera", generative=generative)
    node = Invents(EnhanceConfig(weights=str(file), device="cpu"))
    node.prepare(read_file)
    node.setup(1)
    lossy = replace(CASES["medium, quarter turn"], lossy=True, strength=strength)
    ((face,),) = restore(node, frames([lossy]))
    return face, node


@pytest.mark.parametrize(
    ("settings", "network"),
    [
        ({}, "aminet"),
        ({"look": "faithful"}, "aminet"),
        ({"look": "sharp"}, "aminet-sharp"),
        ({"weights": "aminet-s"}, "aminet-s"),
        ({"look": "faithful", "weights": "mine.safetensors"}, "mine.safetensors"),
    ],
)
def test_a_look_or_the_weights_choose_the_network(settings: dict[str, Any], network: str) -> None:
    assert EnhanceConfig(**settings).network == network


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"look": "sharper"}, "'faithful' or 'sharp'"),
        ({"look": "sharp", "weights": "aminet-s"}, "both choose the network"),
        ({"look": "sharp", "weights": "bicubic"}, "both choose the network"),
    ],
)
def test_a_wrong_look_is_refused_with_what_there_is(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EnhanceConfig(**settings)


@pytest.mark.parametrize("generative", [True, False])
def test_the_card_says_what_is_generative_not_the_name(tmp_path: Path, generative: bool) -> None:
    face, node = restored_by(tmp_path, "plain" if generative else "sharp", generative=generative)
    assert face.generative is generative
    assert node.report()["generative"] is generative


def test_what_is_generative_agrees_more_closely_with_a_lossy_source(tmp_path: Path) -> None:
    plain, _ = restored_by(tmp_path, "a", generative=False)
    drawn, _ = restored_by(tmp_path, "b", generative=True)
    assert plain.consistency_db is not None
    assert drawn.consistency_db is not None
    assert drawn.consistency_db > plain.consistency_db + 3


def test_a_face_that_needs_little_agrees_more_closely_with_its_source(tmp_path: Path) -> None:
    soft, _ = restored_by(tmp_path, "a", generative=False)
    sharp, _ = restored_by(tmp_path, "b", generative=False, strength=0.1)
    assert soft.consistency_db is not None
    assert sharp.consistency_db is not None
    assert sharp.consistency_db > soft.consistency_db + 4
