"""The nearest pixel format that can be edited in place, and getting there without loss."""

from __future__ import annotations

from typing import Any

import av
import pytest
from av.video.reformatter import VideoReformatter

from nodes.errors import UnsupportedFormatError
from nodes.picture import formats
from nodes.picture.formats import PictureConverter, bit_depth, editable_format, nearest_format
from nodes.types import ColorTags
from tests.support.media import make_picture
from tests.support.video_nodes import same_pixels

PLANAR = ["yuv420p", "yuvj422p", "yuv444p10le", "yuv420p16le", "gray", "gray12le"]
SEMI_PLANAR = ["nv12", "nv21", "p010le", "p016le"]

NEAREST = {
    "rgb24": "yuv444p",
    "rgba": "yuv444p",
    "pal8": "yuv444p",
    "bayer_rggb8": "yuv444p",
    "rgb565le": "yuv444p",
    "gbrp10le": "yuv444p10le",
    "rgb48be": "yuv444p16le",
    "gbrpf32le": "yuv444p16le",
    "yuyv422": "yuv422p",
    "y210le": "yuv422p10le",
    "yuv410p": "yuv420p",
    "yuv420p10be": "yuv420p10le",
    "yuva420p": "yuv420p",
    "yuva444p12le": "yuv444p12le",
    "ya8": "gray",
    "gray16be": "gray16le",
    "grayf32le": "gray16le",
    "monob": "gray",
    "x2rgb10le": "yuv444p10le",
    "xyz12le": "yuv444p12le",
}


@pytest.mark.parametrize("pix_fmt", PLANAR + SEMI_PLANAR)
def test_what_can_be_edited_is_kept(pix_fmt: str) -> None:
    assert editable_format(pix_fmt) == pix_fmt


@pytest.mark.parametrize(("pix_fmt", "nearest"), NEAREST.items())
def test_everything_else_goes_to_the_nearest_of_its_depth_and_chroma(
    pix_fmt: str, nearest: str
) -> None:
    assert editable_format(pix_fmt) == nearest


@pytest.mark.parametrize("pix_fmt", ["cuda", "vaapi"])
def test_hardware_surfaces_are_refused(pix_fmt: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=pix_fmt):
        editable_format(pix_fmt)


def test_a_format_that_would_lose_something_is_not_near() -> None:
    assert nearest_format("yuv422p10le", ["yuv420p10le", "yuv444p"]) is None
    assert nearest_format("yuv422p10le", ["yuv420p10le", "yuv444p12le"]) == "yuv444p12le"


def test_bit_depth_is_that_of_the_deepest_component() -> None:
    depths = [bit_depth(name) for name in ("yuv420p", "p010le", "gray12le", "rgb565le")]
    assert depths == [8, 10, 12, 6]


@pytest.mark.parametrize(
    ("there", "back_again"),
    [("nv12", "yuv420p"), ("p010le", "yuv420p10le"), ("yuvj420p", "yuv420p")],
)
def test_planes_are_moved_and_not_changed(there: str, back_again: str) -> None:
    color = ColorTags(range=2 if there.startswith("yuvj") else 1)
    picture = make_picture(3, 66, 46, there)

    moved = PictureConverter(66, 46, back_again, color).convert(picture)
    back = PictureConverter(66, 46, there, color).convert(moved)

    assert moved.format.name == back_again
    assert same_pixels([back], [picture])


def test_a_picture_that_fits_is_handed_back() -> None:
    picture = make_picture(0)
    assert PictureConverter(64, 48, "yuv420p", ColorTags()).convert(picture) is picture


def test_a_shared_picture_is_never_what_swscale_works_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV sets the colour tags of its source meanwhile, and others are reading them."""
    worked_on: list[av.VideoFrame] = []

    class Watched:
        def reformat(self, frame: av.VideoFrame, *args: Any, **options: Any) -> av.VideoFrame:
            worked_on.append(frame)
            return VideoReformatter().reformat(frame, *args, **options)

    monkeypatch.setattr(formats, "VideoReformatter", Watched)
    picture = make_picture(0)
    PictureConverter(32, 24, "yuv444p", ColorTags(5, 1)).convert(picture)
    (own,) = worked_on
    assert own is not picture
    assert own.planes[0].buffer_ptr == picture.planes[0].buffer_ptr
