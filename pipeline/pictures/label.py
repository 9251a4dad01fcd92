"""Saying in a picture file that faces in it were restored: IPTC's properties, as XMP.

XMP of the source stays; only what it says of the picture's origin is replaced. The packet is put
where each format has it, into the finished file, so that stills and animations are labelled alike.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from PIL import Image

from nodes.picture.png_chunks import PNG_SIGNATURE, PNG_XMP, png_chunk, png_chunks

__all__ = ["PictureLabel", "labelled"]

_JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_BYTES: Final = 262_144
"""A longer packet of the source, which holds more than facts, is replaced."""
_JPEG_MOST_BYTES: Final = 65533
_GIF_XMP: Final = b"\x21\xff\x0bXMP DataXMP"
_GIF_TRAILER: Final = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""What makes readers of GIF that know no XMP find the end of the block."""

_EMPTY: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
)
_REPLACED: Final = r"\w+:(?:DigitalSourceType|AISystemUsed|AISystemVersionUsed|Instructions)"
_ATTRIBUTE: Final = re.compile(rf"\s{_REPLACED}\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_TAG: Final = re.compile(rf"<(/?)({_REPLACED})\b[^<>]*>")
_END: Final = re.compile(r"</(?:[\w.-]+:)?RDF\s*>")


@dataclass(frozen=True, slots=True)
class PictureLabel:
    """What a picture says of itself."""

    text: str
    """For people."""
    source_type: str
    """One of IPTC's digital source types, a URI."""
    program: str
    version: str


def labelled(content: bytes, label: PictureLabel) -> bytes:
    """Return a JPEG, PNG, APNG, WebP or GIF with a label; other content as it is.

    Pixels and all other metadata stay, byte by byte.
    """
    if content.startswith(b"\xff\xd8"):
        return _jpeg(content, lambda own: _packet(own, label))
    if content.startswith(PNG_SIGNATURE):
        return _png(content, lambda own: _packet(own, label))
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content, lambda own: _packet(own, label))
    if content.startswith((b"GIF87a", b"GIF89a")):
        packet = _packet(None, label)
        # The older version knows no extensions.
        return b"GIF89a" + content[6:-1] + _GIF_XMP + packet + _GIF_TRAILER + content[-1:]
    return content


_Merge = Callable[[bytes | None], bytes]
"""Returns a packet with the label, given the file's own."""


def _packet(own: bytes | None, label: PictureLabel) -> bytes:
    usable = b"" if own is None or len(own) > _MOST_BYTES else own
    try:
        text = usable.decode()
    except UnicodeDecodeError:
        text = ""
    said = (
        '<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(label.source_type)}"
        f" Iptc4xmpExt:AISystemUsed={quoteattr(label.program)}"
        f" Iptc4xmpExt:AISystemVersionUsed={quoteattr(label.version)}>"
        f"<photoshop:Instructions>{escape(label.text)}</photoshop:Instructions></rdf:Description>"
    )
    if said in text:
        return usable
    text = _without_elements(_ATTRIBUTE.sub("", text))
    end = _END.search(text)
    if end is None:
        text = _EMPTY
        end = _END.search(text)
    assert end is not None  # noqa: S101 - for the type checker
    return (text[: end.start()] + said + text[end.start() :]).encode()


def _without_elements(text: str) -> str:
    """Return XMP without the elements that are replaced, in one pass, however many are open."""
    kept, at, opened = list[str](), 0, None
    for tag in _TAG.finditer(text):
        if opened is None and not tag[1]:
            opened = tag
        if opened is None or tag[2] != opened[2]:
            continue
        if tag[1] or (tag is opened and tag[0].endswith("/>")):
            kept.append(text[at : opened.start()])
            at, opened = tag.end(), None
    return "".join([*kept, text[at:]])


def _jpeg(content: bytes, merge: _Merge) -> bytes:
    at, target, own = 2, 2, None
    parts: list[bytes] = []
    # Only the segments before the picture's data: a marker and a length each.
    while content[at : at + 1] == b"\xff" and content[at + 1] not in (0xDA, 0xD9):
        (length,) = struct.unpack_from(">H", content, at + 2)
        segment = content[at : at + 2 + length]
        if segment[1] == 0xE1 and segment[4:].startswith(_JPEG_XMP):
            own = segment[4 + len(_JPEG_XMP) :]
        else:
            parts.append(segment)
            # After JFIF and EXIF, which have to be first.
            if segment[1] == 0xE0 or segment[4:].startswith(b"Exif\0\0"):
                target = len(parts)
        at += 2 + length
    target = 0 if target > len(parts) else target
    packet = merge(own)
    if len(packet) + len(_JPEG_XMP) + 2 > _JPEG_MOST_BYTES:
        packet = merge(None)
    body = _JPEG_XMP + packet
    parts.insert(target, b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)
    return content[:2] + b"".join(parts) + content[at:]


def _png(content: bytes, merge: _Merge) -> bytes:
    own, kept = None, list[bytes]()
    for kind, chunk in png_chunks(content):
        if kind == b"iTXt" and chunk[8:].startswith(PNG_XMP):
            own = _itxt_text(chunk[8:-4])
        else:
            kept.append(chunk)
    made = png_chunk(b"iTXt", PNG_XMP + b"\0\0\0\0" + merge(own))
    return b"".join([PNG_SIGNATURE, kept[0], made, *kept[1:]])


def _itxt_text(data: bytes) -> bytes | None:
    """Return the text of an iTXt chunk; None if it cannot be read."""
    packed = data[len(PNG_XMP) : len(PNG_XMP) + 1] == b"\1"
    _, _, rest = data[len(PNG_XMP) + 2 :].partition(b"\0")
    _, _, text = rest.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(text, 1 << 24) if packed else text
    except zlib.error:
        return None


def _webp(content: bytes, merge: _Merge) -> bytes:
    own, kept = None, list[tuple[bytes, bytes]]()
    at = 12
    while at + 8 <= len(content):
        kind, (length,) = content[at : at + 4], struct.unpack_from("<I", content, at + 4)
        data = content[at + 8 : at + 8 + length]
        if kind == b"XMP ":
            own = data
        else:
            kept.append((kind, data))
        at += 8 + length + length % 2
    if kept[0][0] != b"VP8X":
        # A simple file becomes an extended one, which may hold metadata.
        with Image.open(io.BytesIO(content)) as image:
            alpha = 0x10 if image.mode == "RGBA" else 0
            width, height = image.size
        sides = (struct.pack("<I", side - 1)[:3] for side in (width, height))
        kept.insert(0, (b"VP8X", bytes([alpha, 0, 0, 0]) + b"".join(sides)))
    flags = kept[0][1]
    kept[0] = b"VP8X", bytes([flags[0] | 0x04]) + flags[1:]
    kept.append((b"XMP ", merge(own)))
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in kept
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body
