"""A whole picture is converted as its regions are, but without a copy of it."""

from __future__ import annotations

from typing import Literal

import av
import pytest

from nodes.picture.layout import pixel_layout, plane_slices
from nodes.picture.regions import RegionReader
from nodes.picture.view import PictureView
from nodes.types import ColorTags
from tests.support.faces import planes_of, waves

WIDTH_PX, HEIGHT_PX = 66, 50
WHOLE = (0, 0, WIDTH_PX, HEIGHT_PX)
COLOR = ColorTags(matrix=1, range=1, chroma=3)


def wider(picture: av.VideoFrame) -> tuple[av.VideoFrame, tuple[int, int, int, int]]:
    """Return a picture that holds this one, and where."""
    layout, left = pixel_layout(picture.format.name), 16
    made = av.VideoFrame(left + picture.width, picture.height, picture.format.name)
    region = (left, 0, made.width, made.height)
    for index, (plane, source) in enumerate(zip(planes_of(made), planes_of(picture), strict=True)):
        plane[plane_slices(layout, index, region)] = source
    return made, region


@pytest.mark.parametrize("fields", ["tff", "prog"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv422p10le", "yuv420p16le", "nv12"])
def test_it_looks_as_a_part_of_a_wider_one(pix_fmt: str, fields: Literal["tff", "prog"]) -> None:
    picture, reader = (
        PictureView(fields).of(waves(WIDTH_PX, HEIGHT_PX, pix_fmt)),
        RegionReader(COLOR),
    )
    around, region = wider(picture)
    assert (reader.rgb(picture, WHOLE) == reader.rgb(around, region)).all()
    small, same = (reader.thumbnail(*each, 33, 25) for each in ((picture, WHOLE), (around, region)))
    assert (small == same).all()


@pytest.mark.parametrize("sited", [False, True])
def test_its_samples_are_shared_and_its_tags_stay(sited: bool) -> None:
    picture = PictureView("tff").of(waves(WIDTH_PX, HEIGHT_PX, "yuv420p"))
    shared = RegionReader(COLOR)._cut(picture, pixel_layout("yuv420p"), WHOLE, sited=sited)
    assert shared.planes[0].buffer_ptr == picture.planes[0].buffer_ptr
    assert not shared.interlaced_frame
    assert picture.interlaced_frame
    assert (shared.colorspace, picture.colorspace) == (1, 2)
