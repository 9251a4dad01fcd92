"""Removing the thumbnail from EXIF.

EXIF is a TIFF file without pixels: a directory of tags, often followed by a second one with a
thumbnail. The thumbnail shows the picture before it was restored and is removed. All other bytes
keep their positions, because maker notes contain offsets in unknown formats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["EXIF_HEADER", "without_thumbnail"]

EXIF_HEADER: Final = b"Exif\0\0"
_ENTRY_BYTES: Final = 12
_LEAST_BYTES: Final = 8
"""Length of a TIFF header, bytes."""
_THUMBNAILS: Final = {0x0201: 0x0202, 0x0111: 0x0117}
"""Tags of the length of a thumbnail, by the tag of its offset: for JPEG and for plain pixels."""
_WORDS: Final = {3: ("H", 2), 4: ("I", 4)}
"""Format and size of the integer types SHORT and LONG."""


def without_thumbnail(exif: bytes) -> bytes:
    """Return EXIF of the same length, with the thumbnail and its directory overwritten by zeros.

    Args:
        exif: with or without its `Exif` header; other data is returned unchanged.
    """
    start = len(EXIF_HEADER) if exif.startswith(EXIF_HEADER) else 0
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[start : start + 4])
    if order is None:
        return exif
    content = bytearray(exif[start:])
    try:
        _blank(content, order)
    except struct.error:  # a directory that leads out of the file: nobody finds a thumbnail there
        return exif
    return exif[:start] + bytes(content)


def _blank(content: bytearray, order: str) -> None:
    """Overwrite the second directory, its data, and its offset by zeros."""
    (first,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, first)
    link = first + 2 + _ENTRY_BYTES * count
    (second,) = struct.unpack_from(order + "I", content, link)
    if second < _LEAST_BYTES or second == first:
        return
    (count,) = struct.unpack_from(order + "H", content, second)
    facts = {
        tag: list(_numbers(content, order, second + 2 + _ENTRY_BYTES * number))
        for number in range(count)
        for (tag,) in [struct.unpack_from(order + "H", content, second + 2 + _ENTRY_BYTES * number)]
    }
    for offset, size in _THUMBNAILS.items():
        for begin, length in zip(facts.get(offset, ()), facts.get(size, ()), strict=False):
            _zero(content, begin, begin + length)
    _zero(content, second, second + 2 + _ENTRY_BYTES * count + 4)
    struct.pack_into(order + "I", content, link, 0)


def _numbers(content: bytearray, order: str, entry: int) -> Iterator[int]:
    """Yield the values of a directory entry with an integer type; none for other types."""
    kind, count = struct.unpack_from(order + "HI", content, entry + 2)
    if kind not in _WORDS or count > len(content):
        return
    word, size_bytes = _WORDS[kind]
    at = entry + 8
    if count * size_bytes > 4:
        (at,) = struct.unpack_from(order + "I", content, at)
    yield from struct.unpack_from(f"{order}{count}{word}", content, at)


def _zero(content: bytearray, begin: int, end: int) -> None:
    """Overwrite a range by zeros, clipped to the file without its header."""
    begin, end = max(begin, _LEAST_BYTES), min(end, len(content))
    if begin < end:
        content[begin:end] = bytes(end - begin)
