"""The sizes and formats of a stream's pictures are found without decoding all of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from nodes.media.picture_forms import picture_forms
from nodes.types import PictureForm
from tests.support.changing import Part, make_changing

TWO = [Part(64, 64), Part(128, 96)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("v.ts", "libx264"),
        ("v.mkv", "libx264"),
        ("v.mp4", "libx264"),
        ("v.ts", "libx265"),
        ("v.webm", "libvpx"),
        ("v.webm", "libvpx-vp9"),
        ("v.ts", "mpeg2video"),
        ("v.mkv", "mpeg4"),
    ],
)
def test_another_size_is_found(tmp_path: Path, name: str, codec: str) -> None:
    found = picture_forms(str(make_changing(tmp_path / name, TWO, codec)))
    assert found == (PictureForm(64, 64, "yuv420p"), PictureForm(128, 96, "yuv420p"))


def test_another_size_of_motion_jpeg_is_found(tmp_path: Path) -> None:
    parts = [Part(64, 48, "yuvj420p"), Part(128, 96, "yuvj420p")]
    found = picture_forms(str(make_changing(tmp_path / "v.mov", parts, "mjpeg")))
    assert [(form.width_px, form.height_px) for form in found] == [(64, 48), (128, 96)]


def test_another_shape_of_pixels_turn_and_depth_are_found(tmp_path: Path) -> None:
    parts = [
        Part(),
        Part(sample_aspect_ratio=Fraction(4, 3)),
        Part(turned_deg=90),
        Part(pix_fmt="yuv422p10le"),
    ]
    assert picture_forms(str(make_changing(tmp_path / "v.ts", parts))) == (
        PictureForm(64, 48, "yuv420p"),
        PictureForm(64, 48, "yuv420p", Fraction(4, 3)),
        PictureForm(64, 48, "yuv420p", rotation_deg=90),
        PictureForm(64, 48, "yuv422p10le"),
    )


def test_a_form_that_comes_back_is_told_once(tmp_path: Path) -> None:
    parts = [*TWO, *TWO]
    assert len(picture_forms(str(make_changing(tmp_path / "v.ts", parts)))) == 2


def test_pictures_that_do_not_change_have_no_forms(tmp_path: Path) -> None:
    assert picture_forms(str(make_changing(tmp_path / "v.ts", [Part(), Part()]))) == ()
