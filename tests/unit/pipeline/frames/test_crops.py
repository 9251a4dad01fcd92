"""`FaceRestorer`: batches of crops, as Ray Data gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import pipeline
from aminet.device import resolve_device
from aminet.errors import SideError
from aminet.restorer import Restorer
from nodes.errors import MediaError
from tests.support.faces import portrait


def crops(side_px: int, count: int = 2) -> npt.NDArray[np.uint8]:
    face = np.asarray(portrait(side_px))
    return np.stack([np.roll(face, 3 * number, axis=0) for number in range(count)])


@pytest.fixture(scope="module")
def restorer() -> pipeline.FaceRestorer:
    return pipeline.FaceRestorer("aminet-s", device="cpu")


def test_crops_are_restored_by_the_network_and_other_columns_stay(
    restorer: pipeline.FaceRestorer,
) -> None:
    batch = {"image": crops(64), "file": np.array(["a", "b"])}
    made = restorer(batch)
    assert list(made["file"]) == ["a", "b"]
    assert made["image"].shape == (2, 64, 64, 3)
    assert made["image"].dtype == np.uint8
    network = Restorer.load("aminet-s", resolve_device("cpu"))
    x = torch.from_numpy(crops(64)).permute(0, 3, 1, 2) / 255
    wanted = network.restore(x).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(made["image"] - wanted).max() <= 1
    change = np.abs(made["image"].astype(int) - batch["image"]).mean()
    assert 0.5 < change < 20
    assert np.array_equal(batch["image"], crops(64))


def test_crops_of_different_sides_come_as_objects(restorer: pipeline.FaceRestorer) -> None:
    column = np.empty(2, object)
    column[0], column[1] = crops(64)[0], crops(96)[0]
    made = restorer({"image": column})["image"]
    assert [crop.shape for crop in made] == [(64, 64, 3), (96, 96, 3)]


def test_no_crops_give_none(restorer: pipeline.FaceRestorer) -> None:
    assert restorer({"image": crops(64)[:0]})["image"].shape == (0, 64, 64, 3)


@pytest.mark.parametrize(
    ("batch", "error", "said"),
    [
        ({"face": crops(64)}, MediaError, "no column 'image', but face"),
        ({"image": crops(64)[..., :2]}, MediaError, "expected .N, S, S, 3. RGB squares of uint8"),
        ({"image": crops(64)[:, :32]}, MediaError, "expected"),
        ({"image": crops(64) / 255}, MediaError, "type float64"),
        ({"image": crops(50)}, SideError, "height is 50 px; expected a multiple"),
    ],
)
def test_what_are_no_crops_is_refused(
    restorer: pipeline.FaceRestorer, batch: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        restorer(batch)
