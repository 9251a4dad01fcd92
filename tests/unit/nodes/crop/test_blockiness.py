"""Block artefacts are told from what a picture shows."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nodes.crop import Crop, CropConfig
from nodes.crop.blockiness import blockiness
from nodes.node import Inputs
from nodes.types import Face, FrameFaces, FramePatches
from tests.support.faces import frame_of, info_of, portrait, segment_in

Luma = npt.NDArray[np.float32]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def luma_of(image: Image.Image) -> Luma:
    return np.asarray(image.convert("L"), np.float32)


def test_it_grows_with_compression() -> None:
    face = portrait(128)
    found = [blockiness(luma_of(jpeg(face, quality)), (0, 0)) for quality in (95, 60, 30)]
    assert blockiness(luma_of(face), (0, 0)) < 1.15
    assert found[0] < 1.15
    assert 1.2 < found[1] < found[2]


@pytest.mark.parametrize("corner", [(0, 0), (3, 6), (18, 5), (40, 33)])
def test_a_part_of_a_picture_is_measured_on_the_grid_of_the_whole(corner: tuple[int, int]) -> None:
    left, top = corner
    luma = luma_of(jpeg(portrait(192), 40))[top : top + 120, left : left + 104]
    assert blockiness(luma, corner) > 1.4
    assert blockiness(luma, (left + 4, top + 4)) < 1.15


def test_the_middle_of_a_large_picture_is_on_the_same_grid() -> None:
    luma = luma_of(jpeg(portrait(128).resize((500, 500)), 30))
    assert blockiness(luma, (0, 0)) > 1.4
    assert blockiness(luma[3:, 5:], (5, 3)) > 1.4


def test_rows_of_interlaced_pictures_do_not_count() -> None:
    luma = luma_of(portrait(128))
    luma[8::16] += 40  # edges of every second row of blocks
    assert blockiness(luma, (0, 0)) > 1.25
    assert blockiness(luma, (0, 0), rows=False) < 1.15


@pytest.mark.parametrize("shape", [(4, 100), (100, 2), (1, 1), (64, 64)])
def test_what_is_flat_or_too_small_has_none(shape: tuple[int, int]) -> None:
    assert blockiness(np.full(shape, 90, np.float32), (0, 0)) == 1


@pytest.mark.parametrize(("quality", "least", "most"), [(None, 0, 0.2), (40, 0.6, 0.85)])
def test_a_sharp_face_is_restored_if_it_is_blocky(
    quality: int | None, least: float, most: float, tmp_path: Path
) -> None:
    image = portrait(160)
    frame = frame_of(image if quality is None else jpeg(image, quality))
    eyes_px, middle = 35.0, np.array([80, 81])
    points = middle + eyes_px * np.array([(-0.5, 0), (0.5, 0), (0, 0.6), (0, 1.11)])
    box = (38.0, 52.0, 122.0, 136.0)
    face = Face(1, box, points.astype(np.float32), score=1.0, confirmed=True)
    node, info = Crop(CropConfig()), replace(info_of(frame), codec_name="mjpeg")
    node.open(segment_in(tmp_path), {"frames": info, "faces": info})
    packet = node.process(Inputs({"frames": frame, "faces": FrameFaces(0, (face,))}))["patches"]
    assert isinstance(packet, FramePatches)
    strength = packet.patches[0].strength if packet.patches else 0.0
    assert least <= strength <= most
