"""The sizes and formats of a stream's pictures are found without decoding all of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from nodes.media.picture_forms import picture_forms
from nodes.types import PictureForm
from tests.support.changing import Part, make_changing
from tests.support.media import Video, make_video
from tests.support.video_nodes import decode

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


def resized(path: Path, *sixteenths: int) -> Path:
    """Write AV1 whose pictures are 8 / `sixteenths` as large, a number for each ten pictures."""
    numbers = ",".join(map(str, sixteenths))
    events = ",".join(str(10 * number) for number in range(len(sixteenths)))
    params = f"resize-mode=4:frame-resz-events=[{events}]:frame-resz-kf-denoms=[{numbers}]"
    options = {"preset": "10", "svtav1-params": f"{params}:frame-resz-denoms=[{numbers}]"}
    video = Video("libsvtav1", "yuv420p", 128, 96, frames=20, gop_frames=40, options=options)
    return make_video(path, video)


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
def test_av1_that_grows_between_keyframes_is_as_large_as_its_largest(
    tmp_path: Path, name: str
) -> None:
    path = resized(tmp_path / name, 16, 8)
    forms = picture_forms(str(path))
    assert [(form.width_px, form.height_px) for form in forms] == [(64, 48), (128, 96)]
    info, frames, _ = decode(path, pictures=forms)
    assert (info.width_px, info.height_px, len(frames)) == (128, 96, 20)


def test_av1_of_another_size_than_its_header_has_one_form(tmp_path: Path) -> None:
    assert picture_forms(str(resized(tmp_path / "v.mkv", 16, 16))) == ()
