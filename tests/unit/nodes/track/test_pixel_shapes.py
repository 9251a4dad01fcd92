"""Pixels that are not square: faces are followed and cut out as they look, and reported where they
lie in the file's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodes.crop import Crop, CropConfig
from nodes.geometry.alignment import apply, template_points
from nodes.node import Inputs
from nodes.picture.regions import RegionReader
from nodes.track import Track, TrackConfig
from nodes.track.views import Square, cut_view
from nodes.types import ColorTags, FacePatch, FrameFaces, FramePatches, VideoInfo
from tests.support.faces import frame_of, info_of, portrait, scene, segment_in

SHAPES = ["1/1", "12/11", "16/11", "24/11", "4/3", "8/9", "1/2", "2/1"]
"""Wide and narrow PAL, half D1, anamorphic HD, NTSC, fields and lines left out."""

SIDE_PX = 110
PLACES = ((60, 40), (330, 70), (190, 160))


def street() -> Image.Image:
    return scene(480, 300, *((portrait(SIDE_PX), *place) for place in PLACES))


def squeezed(image: Image.Image, shape: Fraction) -> tuple[Image.Image, tuple[float, float]]:
    """Return a picture in pixels of that shape, and how many of them one of its own is."""
    wide, high = (1, shape) if shape < 1 else (1 / shape, 1)
    size = round(image.width * wide) // 2 * 2, round(image.height * high) // 2 * 2
    made = image.resize(size, Image.Resampling.BICUBIC)
    return made, (size[0] / image.width, size[1] / image.height)


def followed(
    picture: Image.Image, shape: Fraction, folder: Path, count: int = 3
) -> tuple[VideoInfo, list[FrameFaces]]:
    frames = [frame_of(picture, number) for number in range(count)]
    info = replace(info_of(frames[0]), sample_aspect_ratio=shape)
    node = Track(TrackConfig(min_face_px=16))
    node.open(segment_in(folder), {"frames": info})
    found = [node.process(Inputs({"frames": frame}))["faces"] for frame in frames]
    node.close()
    return info, [
        replace(faces, faces=tuple(face for face in faces.faces if face.confirmed))
        for faces in found
        if isinstance(faces, FrameFaces)
    ]


def middles(faces: FrameFaces) -> Sequence[tuple[float, float]]:
    return sorted(tuple(face.points_px.mean(axis=0)) for face in faces.faces)


@pytest.mark.parametrize("text", SHAPES)
def test_faces_are_found_where_they_lie_in_the_files_own_pixels(tmp_path: Path, text: str) -> None:
    shape, image = Fraction(text), street()
    _, (*_, square) = followed(image, Fraction(1), tmp_path)
    picture, (wide, high) = squeezed(image, shape)
    _, found = followed(picture, shape, tmp_path)
    # A small face may need three looks before it is believed.
    assert len(found[-1].faces) == 3
    for got, (x, y) in zip(middles(found[-1]), middles(square), strict=True):
        assert got == pytest.approx((x * wide, y * high), abs=2.5)


@pytest.mark.parametrize("text", SHAPES)
def test_patches_are_aligned_as_the_faces_look(tmp_path: Path, text: str) -> None:
    shape = Fraction(text)
    picture, _ = squeezed(street(), shape)
    info, (*_, faces) = followed(picture, shape, tmp_path)
    crop = Crop(CropConfig(min_blur_px=0))
    crop.open(segment_in(tmp_path), {"frames": info, "faces": info})
    made = crop.process(Inputs({"frames": frame_of(picture, 2), "faces": faces}))["patches"]
    assert isinstance(made, FramePatches)
    assert len(made.patches) == 3, made.gated
    for patch in made.patches:
        face = next(face for face in faces.faces if face.track_id == patch.track_id)
        eyes_px, expected_px = points_in(patch, face.points_px), template_points(patch.size_px)
        assert np.abs(eyes_px - expected_px).max() < 0.08 * patch.size_px
        # Nothing is squeezed: axes of the shown picture stay at right angles and alike.
        across, down = (patch.crop_from_region[:, axis] / info.stretch[axis] for axis in (0, 1))
        assert float(across @ down) == pytest.approx(0, abs=1e-6)
        assert np.hypot(*across) == pytest.approx(np.hypot(*down))
        # As large as in square pixels of the same area.
        area = np.sqrt(info.stretch[0] * info.stretch[1])
        assert patch.eye_distance_px == pytest.approx(
            face.stretched(*info.stretch).eye_distance_px / area, rel=0.15
        )


def points_in(patch: FacePatch, points_px: np.ndarray) -> np.ndarray:
    x0, y0, *_ = patch.region_xyxy_px
    return apply(patch.crop_from_region, points_px[[0, 1, 3]] - np.array([x0, y0]))


@pytest.mark.parametrize("text", SHAPES)
def test_a_view_shows_the_same_whatever_the_pixels(text: str) -> None:
    shape, image = Fraction(text), street()
    picture, _ = squeezed(image, shape)
    stretch = replace(info_of(frame_of(picture)), sample_aspect_ratio=shape).stretch
    reader = RegionReader(ColorTags())
    plain = cut_view(reader, frame_of(image).picture, Square((240, 150), 200, 15))
    factor = stretch[0] * picture.width / image.width
    same = Square((240 * factor, 150 * factor), 200 * factor, 15)
    view = cut_view(reader, frame_of(picture).picture, same, stretch)
    assert plain is not None
    assert view is not None
    assert np.abs(view.rgb.astype(int) - plain.rgb).mean() < 6


def test_what_is_chosen_by_its_place_is_in_the_files_own_pixels(tmp_path: Path) -> None:
    picture, (wide, high) = squeezed(street(), Fraction(2))
    info, (*_, faces) = followed(picture, Fraction(2), tmp_path)
    left, top = PLACES[1]
    part = (left * wide, top * high, (left + SIDE_PX) * wide, (top + SIDE_PX) * high)
    crop = Crop(CropConfig(min_blur_px=0, region_xyxy_px=part))
    crop.open(segment_in(tmp_path), {"frames": info, "faces": info})
    made = crop.process(Inputs({"frames": frame_of(picture, 2), "faces": faces}))["patches"]
    assert isinstance(made, FramePatches)
    assert len(made.patches) == 1
    assert [face.reason for face in made.gated] == ["not_selected"] * 2
