"""Subsampled chroma stays where it is: an edge of colour is where the edge of luma is."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video import VideoStream

from nodes.encode import Encode
from nodes.encode.encoders import EncodeConfig
from nodes.encode.writer import VIDEO_FILE
from nodes.media.chroma import chroma_location
from nodes.media.open import open_media
from nodes.node import Inputs, Segment
from nodes.paste import Paste, PasteConfig
from nodes.picture.formats import PictureConverter
from nodes.picture.layout import chroma_siting, pixel_layout
from nodes.picture.regions import RegionReader
from nodes.picture.residual import add_rgb_residual
from nodes.types import ColorTags, Frame, FrameRestored
from tests.support.faces import info_of, planes_of

Real = npt.NDArray[np.float64]

SIDE_PX: Final = 64
EDGE_PX: Final = 30.0
SOFT_PX: Final = 6.0
DEPTH: Final = 60.0
LOCATIONS: Final = (0, 1, 2, 3, 4, 5, 6)
PLACES: Final = {
    0: (0.0, 0.5),
    1: (0.0, 0.5),
    2: (0.5, 0.5),
    3: (0.0, 0.0),
    4: (0.5, 0.0),
    5: (0.0, 1.0),
    6: (0.5, 1.0),
}
"""ITU-T H.273, as shares of a luma step."""


def edge(at_px: Real) -> Real:
    """The colour at a place: it turns within a few pixels."""
    return DEPTH * np.tanh((at_px - EDGE_PX) / SOFT_PX)


def shift_px(measured: Real, at_px: Real) -> float:
    """How far the measured edge lies beyond where it belongs, by its steepest samples."""
    steep = np.abs(at_px - EDGE_PX) < SOFT_PX / 2
    slope = DEPTH / SOFT_PX / np.cosh((at_px - EDGE_PX) / SOFT_PX) ** 2
    return float(np.mean(((edge(at_px) - measured) / slope)[steep]))


def centres(count: int, step: int, place: float, scale: int = 1) -> Real:
    """Where samples lie, in source pixels, `step` output pixels apart."""
    return (np.arange(count) * step + place * (step - 1) + 0.5) / scale


def rows_of(count: int, place: float, scale: int, *, fields: bool) -> Real:
    """Where rows of 4:2:0 chroma lie, in source pixels; of fields each by its own lines."""
    if not fields:
        return centres(count, 2, place, scale)
    rows = np.arange(count)
    # A field's lines are two apart; chroma is at a quarter or three of its own, if in the middle.
    line = rows // 2 * 2 + place / 2 + rows % 2 / 2
    return 2 * ((line + 0.5) / scale - 0.5) + rows % 2 + 0.5


def colour_edges(chroma: int, pix_fmt: str = "yuv420p", *, fields: bool = False) -> av.VideoFrame:
    """Gray, with an edge of Cb across and one of Cr down."""
    picture = av.VideoFrame(SIDE_PX, SIDE_PX, pix_fmt)
    layout = pixel_layout(pix_fmt)
    luma, blue, red = planes_of(picture)
    luma[:] = 128
    across, down = PLACES[chroma]
    rows, columns = blue.shape
    blue[:] = np.rint(128 + edge(centres(columns, 1 << layout.log2_sub_x, across)))
    where = rows_of(rows, down, 1, fields=fields) if layout.log2_sub_y else centres(rows, 1, 0)
    red[:] = np.rint(128 + edge(where))[:, None]
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    return picture


@pytest.mark.parametrize("chroma", LOCATIONS)
def test_the_place_is_h_273s(chroma: int) -> None:
    assert chroma_siting(ColorTags(chroma=chroma))[1:] == PLACES[chroma]


@pytest.mark.parametrize("fields", [False, True], ids=["frames", "fields"])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("chroma", LOCATIONS)
def test_enlarging_moves_no_colour(chroma: int, scale: int, fields: bool) -> None:
    frame = Frame(0, 0, 1, colour_edges(chroma, fields=fields))
    info = replace(info_of(frame, color=ColorTags(chroma=chroma)), interlaced=fields)
    node = Paste(PasteConfig())
    node.open(
        Segment("unused", Path(), 1), {"frames": info, "restored": replace(info, patch_scale=scale)}
    )
    large = node.process(Inputs({"frames": frame, "restored": FrameRestored(0)}))["frames"]
    node.close()
    assert isinstance(large, Frame)
    _, blue, red = (plane.astype(float) - 128 for plane in planes_of(large.picture))
    across, down = PLACES[chroma]
    count = SIDE_PX * scale // 2
    assert abs(shift_px(blue[8], centres(count, 2, across, scale))) < 0.05
    rows = rows_of(count, down, scale, fields=fields)
    for part in (slice(0, None, 2), slice(1, None, 2)) if fields else (slice(None),):
        assert abs(shift_px(red[part, 8], rows[part])) < 0.05


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv411p", "yuv440p"])
@pytest.mark.parametrize("chroma", LOCATIONS)
def test_regions_are_read_with_colour_in_its_place(chroma: int, pix_fmt: str) -> None:
    color = ColorTags(matrix=5, range=2, chroma=chroma)
    rgb = RegionReader(color).rgb(colour_edges(chroma, pix_fmt), (8, 12, 56, 60)).astype(float)
    # With luma even, blue says Cb and red says Cr.
    assert abs(shift_px((rgb[4, :, 2] - 128) / 1.772, centres(48, 1, 0) + 8)) < 0.06
    assert abs(shift_px((rgb[:, 4, 0] - 128) / 1.402, centres(48, 1, 0) + 12)) < 0.06


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv411p", "yuv440p"])
@pytest.mark.parametrize("chroma", LOCATIONS)
def test_residuals_are_added_with_colour_in_its_place(chroma: int, pix_fmt: str) -> None:
    picture = colour_edges(chroma, pix_fmt)
    for plane in planes_of(picture):
        plane[:] = 128
    at = edge(centres(SIDE_PX, 1, 0)) / 255
    residual = np.zeros((SIDE_PX, SIDE_PX, 3), np.float32)
    residual[..., 2] = 1.772 * at
    residual[..., 0] = 1.402 * at[:, None]
    residual[..., 1] = -(0.114 * residual[..., 2] + 0.299 * residual[..., 0]) / 0.587
    color = ColorTags(matrix=5, range=2, chroma=chroma)
    add_rgb_residual(picture, (0, 0, SIDE_PX, SIDE_PX), residual, color)
    layout = pixel_layout(pix_fmt)
    _, blue, red = (plane.astype(float) - 128 for plane in planes_of(picture))
    across, down = PLACES[chroma]
    columns = centres(blue.shape[1], 1 << layout.log2_sub_x, across)
    rows = centres(red.shape[0], 1 << layout.log2_sub_y, down)
    assert abs(shift_px(blue[8], columns)) < 0.08
    assert abs(shift_px(red[:, 8], rows)) < 0.08


@pytest.mark.parametrize("chroma", [1, 2, 3])
def test_what_is_converted_gets_the_places_that_it_is_tagged_with(chroma: int) -> None:
    whole = colour_edges(1, "yuv444p")
    made = PictureConverter(SIDE_PX, SIDE_PX, "yuv420p", ColorTags(chroma=chroma)).convert(whole)
    _, blue, red = (plane.astype(float) - 128 for plane in planes_of(made))
    across, down = PLACES[chroma]
    assert abs(shift_px(blue[8], centres(32, 2, across))) < 0.06
    assert abs(shift_px(red[:, 8], centres(32, 2, down))) < 0.06


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "said", "location"),
    [
        ("libx264", "yuv420p", None, 1),
        ("libx264", "yuvj420p", None, 1),
        ("libx264", "yuv420p", "topleft", 3),
        ("libx264", "yuv420p", "center", 2),
        ("libx265", "yuv420p10le", "topleft", 3),
        ("mpeg2video", "yuv420p", None, 1),
        ("mpeg1video", "yuv420p", None, 2),
        ("mjpeg", "yuvj420p", None, 2),
        ("libvpx-vp9", "yuv420p", None, 0),
        ("libvpx-vp9", "yuv420p", "topleft", 3),
        ("ffv1", "yuv420p", None, 0),
        ("ffv1", "yuv444p", None, 0),
    ],
)
def test_the_place_is_read_from_the_stream(
    codec: str, pix_fmt: str, said: str | None, location: int
) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        options = {"chroma_sample_location": said} if said else {}
        if codec == "libx265":
            options["x265-params"] = "log-level=none:pools=1"
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number in range(3):
            picture = av.VideoFrame(64, 48, pix_fmt)
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        assert chroma_location(container.streams.video[0]) == location


@pytest.mark.parametrize("codec", ["x264", "x265", "av1"])
@pytest.mark.parametrize("chroma", [1, 3])
def test_the_encoder_is_told_of_the_place(codec: str, chroma: int, tmp_path: Path) -> None:
    frame = Frame(0, 0, 1, colour_edges(chroma))
    info = info_of(frame, color=ColorTags(chroma=chroma))
    node = Encode(EncodeConfig(codec=codec))
    node.open(Segment("unused", tmp_path, 1), {"frames": info})
    node.process(Inputs({"frames": frame}))
    node.finish()
    node.close()
    with open_media(str(tmp_path / VIDEO_FILE)) as container:
        assert chroma_location(container.streams.video[0]) == chroma
