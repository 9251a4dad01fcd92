"""Pixels: regions in the right colours, residuals back exactly, and nothing else moves."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest

from nodes.errors import UnsupportedFormatError
from nodes.picture.layout import PixelLayout, align_region, pixel_layout, resolve_color
from nodes.picture.regions import RegionReader, copy_picture, luma_samples
from nodes.picture.residual import add_rgb_residual
from nodes.types import ColorTags
from tests.support.faces import codes_of, planes_of, waves

FORMATS = [
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuv444p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p12le",
    "yuv420p16le",
    "nv12",
    "nv21",
    "p010le",
    "p016le",
    "gray",
    "gray10le",
]
TAGS = [ColorTags(), ColorTags(matrix=1, range=1), ColorTags(matrix=9, range=2)]
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}


def float_yuv(picture: av.VideoFrame, color: ColorTags) -> list[npt.NDArray[np.float64]]:
    """Y in [0, 1] and Cb, Cr in [-0.5, 0.5], each at its own resolution."""
    layout = pixel_layout(picture.format.name)
    _, full = resolve_color(color, layout, picture.height)
    unit, top = 1 << (layout.bit_depth - 8), (1 << layout.bit_depth) - 1
    planes = [plane >> layout.shift for plane in planes_of(picture)]
    luma = planes[0] / top if full else (planes[0] - 16.0 * unit) / (219 * unit)
    if layout.chroma == "none":
        return [luma]
    pair = planes[1:] if layout.chroma == "planar" else [planes[1][..., 0], planes[1][..., 1]]
    if layout.chroma == "vu":
        pair.reverse()
    return [luma, *((c - 128.0 * unit) / (top if full else 224 * unit) for c in pair)]


def reference_rgb(picture: av.VideoFrame, color: ColorTags) -> npt.NDArray[np.float64]:
    """RGB by the book, chroma repeated."""
    layout = pixel_layout(picture.format.name)
    luma, *chroma = float_yuv(picture, color)
    if not chroma:
        return np.repeat(luma[..., None], 3, axis=2)
    red, blue = WEIGHTS[resolve_color(color, layout, picture.height)[0]]
    height, width = luma.shape
    cb, cr = (
        np.repeat(np.repeat(c, 1 << layout.log2_sub_y, 0), 1 << layout.log2_sub_x, 1)[
            :height, :width
        ]
        for c in chroma
    )
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], axis=2)


def bump(height: int, width: int) -> npt.NDArray[np.float32]:
    """A coloured residual, exactly 0 in a wide border."""
    y, x = np.mgrid[0:height, 0:width]
    inside = 1 - np.hypot((x - width / 2) / (width / 3), (y - height / 2) / (height / 3))
    return (np.clip(inside, 0, 1)[..., None] * np.array([0.2, -0.1, 0.15])).astype(np.float32)


@pytest.mark.parametrize("color", TAGS, ids=str)
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_region_has_the_streams_colours(pix_fmt: str, color: ColorTags) -> None:
    picture = waves(101, 77, pix_fmt)
    rgb = RegionReader(color).rgb(picture, (16, 10, 101, 77))
    assert rgb.shape == (67, 85, 3)
    layout = pixel_layout(pix_fmt)
    assert rgb.dtype == layout.dtype
    error = rgb / ((1 << layout.bit_depth) - 1) - reference_rgb(picture, color)[10:77, 16:101]
    # Repeated chroma is the reference's weakness, not the reader's; the mean shows the colours.
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.8 / 255
    assert np.abs(error).max() < 16 / 255


@pytest.mark.parametrize("color", TAGS, ids=str)
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_residual_lands_in_the_streams_own_samples(pix_fmt: str, color: ColorTags) -> None:
    picture = waves(101, 77, pix_fmt)
    layout = pixel_layout(pix_fmt)
    before, codes = float_yuv(picture, color), codes_of(picture)
    region = (20, 8, 101, 77)
    assert align_region(region, layout, 101, 77) == region
    residual = bump(69, 81)
    add_rgb_residual(picture, region, residual, color)
    red, blue = WEIGHTS[resolve_color(color, layout, picture.height)[0]]
    luma = residual @ np.array([red, 1 - red - blue, blue])
    change = [after - b for after, b in zip(float_yuv(picture, color), before, strict=True)]
    code = 1.01 / ((1 << layout.bit_depth) - 1)
    assert np.abs(change[0][8:77, 20:101] - luma).max() <= code
    expected_chroma = [
        (residual[..., 2] - luma) / (2 - 2 * blue),
        (residual[..., 0] - luma) / (2 - 2 * red),
    ]
    for got, expected in zip(change[1:], expected_chroma, strict=False):
        sums = got.sum() * (1 << layout.log2_sub_x + layout.log2_sub_y)
        assert sums == pytest.approx(expected.sum(), rel=0.02)
        peak = np.abs(expected).max()
        assert np.abs(got).max() == pytest.approx(peak, rel=0.1)
    untouched(picture, codes, layout, residual)


def untouched(
    picture: av.VideoFrame,
    codes: list[npt.NDArray[np.generic]],
    layout: PixelLayout,
    residual: npt.NDArray[np.float32],
) -> None:
    """Assert that samples are the same where their whole block of the residual is 0."""
    still = np.ones((picture.height + 1, picture.width + 1), bool)
    still[8:77, 20:101] = ~residual.any(axis=2)
    for index, (now, was) in enumerate(zip(planes_of(picture), codes, strict=True)):
        step_y = 1 << layout.log2_sub_y if index else 1
        step_x = 1 << layout.log2_sub_x if index else 1
        rows, columns = now.shape[:2]
        blocks = still[: rows * step_y, : columns * step_x]
        same = blocks.reshape(rows, step_y, columns, step_x).all(axis=(1, 3))
        assert np.array_equal(now[same], was[same])
        assert (now != was).any()


def test_420_chroma_sits_on_even_columns() -> None:
    picture = waves(64, 64, "yuv420p")
    before = float_yuv(picture, ColorTags())[1]
    residual = np.zeros((64, 64, 3), np.float32)
    residual[:, 30:33] = (-0.2, 0.0, 0.4)
    add_rgb_residual(picture, (0, 0, 64, 64), residual, ColorTags())
    row = (float_yuv(picture, ColorTags())[1] - before)[10]
    # Columns 30, 31 and 32 around chroma 15 (at 30) and 16 (at 32): 3/4 of the weight each.
    assert row[15] == pytest.approx(row[16], abs=1.5 / 224)
    assert row[15] > 0.1
    assert not row[:15].any()
    assert not row[17:].any()


def test_legal_range_is_kept_but_headroom_is_not_cut() -> None:
    picture = waves(16, 16, "yuv420p")
    luma = planes_of(picture)[0]
    luma[:] = 230
    luma[0, 0], luma[0, 1] = 250, 5
    add_rgb_residual(picture, (0, 0, 16, 16), np.full((16, 16, 3), 0.1, np.float32), ColorTags())
    assert luma[8, 8] == 235
    assert luma[0, 0] == 250
    assert luma[0, 1] == 5 + round(21.9)


def test_copy_shares_nothing_and_keeps_time_and_colour() -> None:
    picture = waves(99, 55, "yuv422p10le")
    picture.pts, picture.time_base = 77, Fraction(1, 90000)
    picture.colorspace, picture.color_range = 1, 2
    copy = copy_picture(picture)
    codes = codes_of(picture)
    assert all(np.array_equal(a, b) for a, b in zip(codes, planes_of(copy), strict=True))
    for plane in planes_of(copy):
        plane[:] = 0
    assert all(np.array_equal(a, b) for a, b in zip(codes, planes_of(picture), strict=True))
    assert (copy.pts, copy.time_base) == (77, Fraction(1, 90000))
    assert (copy.colorspace, copy.color_range) == (1, 2)
    assert copy.pict_type == 0


def test_copy_of_a_decoders_padded_lines() -> None:
    codec = av.CodecContext.create("mpeg4", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = 102, 50, "yuv420p"
    codec.time_base = codec.framerate = 25  # pyright: ignore[reportAttributeAccessIssue]
    packets = [*codec.encode(waves(102, 50, "yuv420p")), *codec.encode(None)]
    decoder = av.CodecContext.create("mpeg4", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = codec.extradata
    (picture,) = [f for p in (*packets, None) for f in decoder.decode(p)]
    copy = copy_picture(picture)
    pairs = zip(codes_of(picture), codes_of(copy), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("height_px", "matrix"), [(576, 5), (719, 5), (720, 1), (1080, 1)])
def test_untagged_matrix_is_guessed_by_height(height_px: int, matrix: int) -> None:
    layout = pixel_layout("yuv420p")
    assert resolve_color(ColorTags(), layout, height_px) == (matrix, False)


def test_rgb_coded_as_planes_is_refused() -> None:
    with pytest.raises(UnsupportedFormatError, match="YCgCo"):
        resolve_color(ColorTags(matrix=8), pixel_layout("yuv444p"), 720)


@pytest.mark.parametrize("pix_fmt", ["rgb24", "yuva420p", "yuyv422", "yuv420p10be", "pal8"])
def test_formats_without_a_layout_are_refused(pix_fmt: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=pix_fmt):
        pixel_layout(pix_fmt)


def test_region_grows_to_the_chroma_grid_and_stays_inside() -> None:
    layout = pixel_layout("yuv420p")
    assert align_region((3.2, 5.0, 8.1, 9.9), layout, 101, 77) == (2, 4, 10, 10)
    assert align_region((-9, -9, 500, 500), layout, 101, 77) == (0, 0, 101, 77)
    assert align_region((200, 0, 300, 10), layout, 101, 77) is None


def test_thumbnail_keeps_colours_at_another_size() -> None:
    picture = waves(128, 96, "yuv420p10le")
    small = RegionReader(ColorTags()).thumbnail(picture, (0, 0, 128, 96), 32, 24)
    assert small.shape == (24, 32, 3)
    large = reference_rgb(picture, ColorTags()).reshape(24, 4, 32, 4, 3).mean(axis=(1, 3)) * 255
    assert np.abs(small - large).mean() < 2


def test_luma_samples_are_a_share_of_full_scale() -> None:
    picture = waves(64, 48, "p010le")
    samples = luma_samples(picture, 8)
    assert samples.shape == (6, 8)
    assert samples[0, 0] == pytest.approx((planes_of(picture)[0][0, 0] >> 6) / 1023)
