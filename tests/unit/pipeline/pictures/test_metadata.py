"""Metadata of pictures: what is copied, and what is said to be lost."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nodes.media.picture_formats import photo_format
from nodes.types import ColorTags, VideoInfo
from pipeline.pictures.photo import Photo, encode_photo

ASCII, SHORT, DOUBLE = 2, 3, 12

GREY: Any = np.full((8, 8), 90, np.uint8)


def tiff(path: Path, tag: int, kind: int, count: int, value: bytes) -> Path:
    """Write a grey TIFF of 8x8 pixels with one further tag of any type."""
    entries = [
        (256, SHORT, 1, struct.pack("<HH", 8, 0)),
        (257, SHORT, 1, struct.pack("<HH", 8, 0)),
        (258, SHORT, 1, struct.pack("<HH", 8, 0)),
        (259, SHORT, 1, struct.pack("<HH", 1, 0)),
        (262, SHORT, 1, struct.pack("<HH", 1, 0)),
        (273, SHORT, 1, struct.pack("<HH", 8, 0)),
        (278, SHORT, 1, struct.pack("<HH", 8, 0)),
        (279, SHORT, 1, struct.pack("<HH", 64, 0)),
        (tag, kind, count, struct.pack("<I", 72) if len(value) > 4 else value.ljust(4, b"\0")),
    ]
    pixels, stored = bytes([90]) * 64, value.ljust(64, b"\0")
    table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<I", 136)
    path.write_bytes(head + pixels + stored + struct.pack("<H", len(entries)) + table + b"\0\0\0\0")
    return path


INFO = VideoInfo(
    8, 8, "gray", Fraction(1, 25), None, Fraction(1), 0, ColorTags(), "tiff", 8, still=True
)


def encoded(source: Path, suffix: str) -> tuple[Image.Image, list[str]]:
    """Return a grey picture that was written with the metadata of a file, and what is lost."""
    kind = photo_format(f"a{suffix}")
    assert kind is not None
    content, lost = encode_photo(Photo(GREY, None), kind, source, 90, INFO)
    return Image.open(io.BytesIO(content)), lost


@pytest.mark.filterwarnings("ignore:Metadata Warning")
@pytest.mark.parametrize(
    ("tag", "kind", "count", "value", "lost"),
    [
        (700, ASCII, 9, b"<x:xmp/>\0", "XMP (damaged)"),
        (700, SHORT, 3, struct.pack("<3H", 1, 2, 3), "XMP (damaged)"),
        (34675, SHORT, 3, struct.pack("<3H", 1, 2, 3), "the colour profile (damaged)"),
        (274, DOUBLE, 1, struct.pack("<d", 6.0), "EXIF (damaged)"),
        (274, ASCII, 6, b"right\0", "EXIF (damaged)"),
        (282, ASCII, 6, b"right\0", "EXIF (damaged)"),
    ],
)
def test_tags_of_an_unusual_type_are_left_out(
    tmp_path: Path, tag: int, kind: int, count: int, value: bytes, lost: str
) -> None:
    source = tiff(tmp_path / "a.tif", tag, kind, count, value)
    for suffix in (".png", ".jpg", ".webp"):
        image, said = encoded(source, suffix)
        assert image.size == (8, 8)
        assert said == [lost]


def app13(*resources: tuple[int, bytes]) -> bytes:
    """Return Photoshop's segment of a JPEG, with its resources by number."""
    content = b"Photoshop 3.0\0" + b"".join(
        b"8BIM" + struct.pack(">HHI", code, 0, len(data)) + data for code, data in resources
    )
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def test_iptc_is_kept_in_jpeg_and_else_said_to_be_lost(tmp_path: Path) -> None:
    source, iptc = tmp_path / "a.jpg", b"\x1c\x02\x05\0\x05title"
    thumbnail = (0x040C, b"the thumbnail!")
    Image.fromarray(GREY).save(source, extra=app13(thumbnail, (0x0404, iptc)))

    image, lost = encoded(source, ".jpg")
    assert image.info["photoshop"] == {0x0404: iptc}
    assert lost == []
    assert encoded(source, ".png")[1] == ["IPTC (PNG has no place for it)"]
    assert encoded(source, ".webp")[1] == ["IPTC (WEBP has no place for it)"]


IPTC = b"\x1c\x02\x05\0\x05title\0\0"
BYTE, LONG, UNDEFINED = 1, 4, 7


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [
        (33723, UNDEFINED, IPTC),
        (33723, BYTE, IPTC),
        # As Photoshop writes it, in the file's order, and swapped as old programs left it.
        (33723, LONG, IPTC),
        (33723, LONG, b"".join(IPTC[at : at + 4][::-1] for at in range(0, len(IPTC), 4))),
        (34377, BYTE, b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(IPTC)) + IPTC),
    ],
)
def test_iptc_of_a_tiff_is_kept_in_jpeg_and_else_said_to_be_lost(
    tmp_path: Path, tag: int, kind: int, value: bytes
) -> None:
    count = len(value) // 4 if kind == LONG else len(value)
    source = tiff(tmp_path / "a.tif", tag, kind, count, value)
    image, lost = encoded(source, ".jpg")
    assert image.info["photoshop"] == {0x0404: IPTC}
    assert lost == []
    assert encoded(source, ".png")[1] == ["IPTC (PNG has no place for it)"]
    assert encoded(source, ".webp")[1] == ["IPTC (WEBP has no place for it)"]


@pytest.mark.filterwarnings("ignore:Metadata Warning")
@pytest.mark.parametrize(
    ("tag", "kind", "count", "value"),
    [
        (33723, ASCII, 9, b"no bytes\0"),
        (33723, SHORT, 3, struct.pack("<3H", 1, 2, 3)),
        (33723, DOUBLE, 1, struct.pack("<d", 6.0)),
        (33723, LONG, 1, struct.pack("<I", 7)),
        (33723, BYTE, 6, b"no IIM"),
        (34377, SHORT, 3, struct.pack("<3H", 1, 2, 3)),
        (34377, ASCII, 9, b"no bytes\0"),
    ],
)
def test_damaged_iptc_of_a_tiff_is_said_to_be_lost(
    tmp_path: Path, tag: int, kind: int, count: int, value: bytes
) -> None:
    source = tiff(tmp_path / "a.tif", tag, kind, count, value)
    for suffix in (".png", ".jpg", ".webp"):
        image, said = encoded(source, suffix)
        assert image.size == (8, 8)
        assert said == ["IPTC (damaged)"]


@pytest.mark.parametrize(
    ("length", "expected"), [(65_506, []), (65_507, ["IPTC (too long for JPEG)"])]
)
def test_iptc_that_does_not_fit_when_it_is_padded_is_left_out(
    tmp_path: Path, length: int, expected: list[str]
) -> None:
    source = tmp_path / "a.jpg"
    Image.fromarray(GREY).save(source, extra=app13((0x0404, b"x" * length)))
    image, lost = encoded(source, ".jpg")
    assert lost == expected
    assert ("photoshop" in image.info) == (not expected)


def test_a_comment_of_a_png_becomes_that_of_a_jpeg_and_other_texts_are_lost(
    tmp_path: Path,
) -> None:
    source, texts = tmp_path / "a.png", PngInfo()
    texts.add_text("comment", "gate 4")
    Image.fromarray(GREY).save(source, pnginfo=texts)
    image, lost = encoded(source, ".jpg")
    assert (image.info["comment"], lost) == (b"gate 4", [])
    assert encoded(source, ".webp")[1] == ["the comment (WEBP has no place for it)"]

    texts.add_text("Title", "a gate")
    Image.fromarray(GREY).save(source, pnginfo=texts)
    assert encoded(source, ".jpg")[1] == ["texts (JPEG has no place for it)"]
