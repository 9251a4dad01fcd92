"""Pictures that change their size, shape or format fit one frame without loss or distortion."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nodes.types import Frame, VideoInfo
from pipeline.containers.probe import scan_packets
from tests.support.changing import Part, make_changing
from tests.support.media import make_picture, planes
from tests.support.video_nodes import decode

SMALL, LARGE = Part(160, 90), Part(320, 180)
BLACK = 16


def decoded(
    path: Path, parts: Sequence[Part], codec: str = "libx264", **settings: Any
) -> tuple[VideoInfo, list[Frame]]:
    make_changing(path, parts, codec)
    info, frames, _ = decode(path, pictures=scan_packets(str(path)).pictures, **settings)
    assert {(f.picture.width, f.picture.height, f.picture.format.name) for f in frames} == {
        (info.width_px, info.height_px, info.pix_fmt)
    }
    assert len(frames) == sum(part.frames for part in parts)
    return info, frames


def luma(frame: Frame) -> npt.NDArray[np.float64]:
    return planes(frame.picture)[0].astype(np.float64)


def test_a_growing_stream_is_worked_on_at_its_largest(tmp_path: Path) -> None:
    info, frames = decoded(tmp_path / "v.ts", [SMALL, LARGE])
    assert (info.width_px, info.height_px) == (320, 180)
    small = make_picture(0, 160, 90).reformat(320, 180)
    assert np.abs(luma(frames[0]) - planes(small)[0]).mean() < 3
    assert np.abs(luma(frames[6]) - planes(make_picture(6, 320, 180))[0]).mean() < 3


def test_a_shrinking_stream_keeps_its_size(tmp_path: Path) -> None:
    info, frames = decoded(tmp_path / "v.mkv", [LARGE, SMALL], "libvpx")
    assert (info.width_px, info.height_px) == (320, 180)
    assert luma(frames[-1])[:, [0, -1]].min() > BLACK + 8


def test_another_shape_is_not_stretched_but_padded_with_black(tmp_path: Path) -> None:
    """A telephone that is turned round: the frame is as wide and as high as any picture."""
    info, frames = decoded(tmp_path / "v.webm", [Part(64, 48), Part(48, 64)], "libvpx-vp9")
    assert (info.width_px, info.height_px) == (64, 64)
    wide, high = luma(frames[0]), luma(frames[-1])
    assert np.abs(wide[8:56] - planes(make_picture(0, 64, 48))[0]).mean() < 4
    assert np.abs(wide[[0, 1, 62, 63]] - BLACK).max() <= 1
    assert np.abs(high[:, 8:56] - planes(make_picture(11, 48, 64))[0]).mean() < 4
    assert np.abs(high[:, [0, 1, 62, 63]] - BLACK).max() <= 1


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("yuv422p", "yuv422p"),
        ("yuv420p10le", "yuv420p10le"),
        ("yuv422p10le", "yuv422p10le"),
    ],
)
def test_a_pixel_format_that_holds_all(tmp_path: Path, other: str, expected: str) -> None:
    info, frames = decoded(tmp_path / "v.mkv", [Part(), Part(pix_fmt=other)])
    assert (info.pix_fmt, info.width_px) == (expected, 64)
    deep = 4 if "10" in expected else 1
    samples = planes(frames[0].picture)[0]
    own = samples.view(np.uint16) if deep > 1 else samples
    assert np.abs(own / deep - planes(make_picture(0))[0]).mean() < 3


def test_pixels_that_change_their_shape(tmp_path: Path) -> None:
    """Broadcasts go from 4:3 to 16:9 with 720x576 all the time."""
    parts = [
        Part(sample_aspect_ratio=Fraction(16, 15)),
        Part(sample_aspect_ratio=Fraction(64, 45)),
    ]
    info, frames = decoded(tmp_path / "v.ts", parts)
    assert (info.width_px, info.height_px) == (86, 48)
    assert info.sample_aspect_ratio == Fraction(16, 15)
    narrow, wide = luma(frames[0]), luma(frames[-1])
    assert np.abs(narrow[:, 10:74] - planes(make_picture(0))[0]).mean() < 3
    assert np.abs(narrow[:, [0, 85]] - BLACK).max() <= 1
    assert wide[:, [0, 85]].min() > BLACK + 8


def test_a_stream_that_is_turned_is_turned_back(tmp_path: Path) -> None:
    info, frames = decoded(tmp_path / "v.ts", [Part(), Part(turned_deg=90)])
    assert (info.width_px, info.height_px, info.rotation_deg) == (64, 64, 0)
    # All pictures of the part are turned, though only its first says so.
    for frame in (frames[6], frames[-1]):
        turned = np.rot90(planes(make_picture(frame.index))[0], -1)
        assert np.abs(luma(frame)[:, 8:56] - turned).mean() < 4


def test_without_a_change_pictures_are_the_decoders_own(tmp_path: Path) -> None:
    path = make_changing(tmp_path / "v.ts", [SMALL, SMALL])
    assert scan_packets(str(path)).pictures == ()
    _, frames, report = decode(path)
    assert report["conversions"] == []
    assert len(frames) == 12


def test_without_knowing_what_comes_pictures_fit_the_first(tmp_path: Path) -> None:
    """As in a pipe, which is read once."""
    path = make_changing(tmp_path / "v.ts", [SMALL, LARGE])
    info, _, report = decode(path)
    assert (info.width_px, info.height_px) == (160, 90)
    assert report["conversions"] == [
        {"what": "320x180 yuv420p to 160x90 yuv420p", "frames": 6, "same_size": False}
    ]


def test_a_segment_in_the_small_part_has_the_frame_of_the_whole(tmp_path: Path) -> None:
    path = make_changing(tmp_path / "v.mkv", [LARGE, SMALL, LARGE])
    pictures = scan_packets(str(path)).pictures
    info, frames, _ = decode(path, start_pts=240, end_pts=480, pictures=pictures)
    assert (info.width_px, len(frames)) == (320, 6)
    assert frames[0].picture.width == 320
