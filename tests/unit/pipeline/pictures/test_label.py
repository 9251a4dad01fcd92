"""A label as XMP: in each format, beside what is there already, and nothing else changes."""

from __future__ import annotations

import io
import struct
import time
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nodes.picture.png_chunks import png_chunks
from pipeline.pictures.label import PictureLabel, labelled

LABEL = PictureLabel("estimates & <no> proof", "http://x.org/composite", 'a"minet', "1.2")
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {"quality": 90}),
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"quality": 80}),
    ("GIF", {}),
    ("GIF", {"save_all": True}),
    ("PNG", {"save_all": True}),
    ("WEBP", {"save_all": True, "lossless": True}),
]
OWN = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:d="http://purl.org/dc/elements/1.1/"'
    " e:DigitalSourceType='http://x.org/digitalCapture'><d:rights>mine</d:rights>"
    "<e:AISystemUsed>other</e:AISystemUsed></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def noise(seed: int, mode: str = "RGB") -> Image.Image:
    bands = len(mode) if mode != "L" else 1
    samples = np.random.default_rng(seed).integers(0, 256, (33, 47, bands), np.uint8)
    return Image.fromarray(samples.squeeze()).convert(mode)


def saved(kind: str, image: Image.Image, **options: Any) -> bytes:
    if options.get("save_all"):
        options = {**options, "append_images": [noise(8, image.mode)], "duration": 40}
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def pictures_in(content: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(content)) as image:
        found: list[bytes] = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(image.convert("RGBA").tobytes())
        return found


def xmp_of(content: bytes) -> ET.Element:
    """Return the one RDF of a file, as any reader of XMP finds it."""
    assert content.count(b"</rdf:RDF>") == 1
    begin, end = content.index(b"<x:xmpmeta"), content.index(b"</x:xmpmeta>")
    return ET.fromstring(content[begin : end + 12])[0]  # noqa: S314 - our own


def values(rdf: ET.Element, name: str) -> list[str]:
    nodes = list(rdf.iter(f"{RDF}Description"))
    found = [node.get(f"{IPTC}{name}") for node in nodes]
    return [v for v in found if v] + [e.text or "" for e in rdf.iter(f"{IPTC}{name}")]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_every_format_says_it_and_keeps_its_pixels(
    kind: str, options: dict[str, Any], mode: str
) -> None:
    content = saved(kind, noise(3, "RGB" if kind == "JPEG" and mode == "RGBA" else mode), **options)
    out = labelled(content, LABEL)
    assert pictures_in(out) == pictures_in(content)
    rdf = xmp_of(out)
    assert values(rdf, "DigitalSourceType") == ["http://x.org/composite"]
    assert values(rdf, "AISystemUsed") == ['a"minet']
    assert values(rdf, "AISystemVersionUsed") == ["1.2"]
    assert "estimates & <no> proof" in "".join(rdf.itertext())
    with Image.open(io.BytesIO(out)) as image:
        image.load()
        if kind != "GIF":  # where Pillow looks for none behind the picture
            assert image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_the_source_says_of_other_things_stays(kind: str) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", OWN, zip=True)
    own: dict[str, Any] = {"pnginfo": info} if kind == "PNG" else {"xmp": OWN.encode()}
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    content = saved(kind, noise(3), exif=exif, icc_profile=b"profile", **own)
    out = labelled(content, LABEL)
    rdf = xmp_of(out)
    assert values(rdf, "DigitalSourceType") == ["http://x.org/composite"]
    assert values(rdf, "AISystemUsed") == ['a"minet']
    assert "mine" in "".join(rdf.itertext())
    with Image.open(io.BytesIO(out)) as image:
        assert image.getexif()[0x010F] == "Canon"
        assert image.info["icc_profile"] == b"profile"
    assert labelled(out, LABEL) == out


@pytest.mark.parametrize(
    "own",
    [
        b"",
        b"\xff\xfe not text",
        b"<rdf:RDF/>",
        b"x" * 60_000 + b"</rdf:RDF>",
        b"<a:Instructions " * 3000,
        b"</rdf:RDF>" * 100,
    ],
)
def test_a_packet_that_is_none_does_no_harm(own: bytes) -> None:
    content = saved("JPEG", noise(3), xmp=own)
    out = labelled(content, LABEL)
    assert pictures_in(out) == pictures_in(content)
    assert b"http://x.org/composite" in out


def test_exif_stays_the_first_segment_of_a_jpeg() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = labelled(saved("JPEG", noise(3), exif=exif), LABEL)
    kinds, at = [], 2
    while out[at + 1] != 0xDA:
        kinds.append((out[at + 1], out[at + 4 : at + 8]))
        at += 2 + struct.unpack_from(">H", out, at + 2)[0]
    assert kinds.index((0xE1, b"Exif")) < kinds.index((0xE1, b"http"))


def test_png_keeps_its_order_and_checksums() -> None:
    out = labelled(saved("PNG", noise(3)), LABEL)
    kinds = [kind for kind, _ in png_chunks(out)]
    assert kinds[:2] == [b"IHDR", b"iTXt"]
    assert kinds[-1] == b"IEND"


def test_other_files_stay_as_they_are() -> None:
    for content in (b"", b"BM123", saved("BMP", noise(3))):
        assert labelled(content, LABEL) == content


@pytest.mark.parametrize(
    "part", ["<a:Instructions>", "<a:Instructions></a:X", " a:Instructions=\"'"]
)
def test_a_packet_of_many_tags_takes_no_longer_than_it_is_long(part: str) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", part * (200_000 // len(part)))
    content = saved("PNG", noise(3), pnginfo=info)
    begun_s = time.process_time()
    labelled(content, LABEL)
    assert time.process_time() - begun_s < 5
