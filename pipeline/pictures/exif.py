"""What a camera wrote about a picture, without the small copy of the picture in it.

EXIF is a TIFF file without pixels: a directory of facts, and behind it often a second one with a
thumbnail. That shows the picture as it was before it was restored, so it goes. Every other byte
stays where it is: makers' own notes count from places that only they know.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["without_thumbnail"]

_HEADER: Final = b"Exif\0\0"
_ENTRY_BYTES: Final = 12
_LEAST_BYTES: Final = 8
"""A TIFF's header."""
_THUMBNAILS: Final = {0x0201: 0x0202, 0x0111: 0x0117}
"""Tags that say where a thumbnail is -> the tag of how many bytes it has: JPEG, and bare pixels."""
_WORDS: Final = {3: ("H", 2), 4: ("I", 4)}
"""Kinds of numbers: 16 and 32 bits."""


def without_thumbnail(exif: bytes) -> bytes:
    """Return EXIF of the same length, with the thumbnail and its directory blanked out.

    Args:
        exif: with or without its `Exif` header; what is no EXIF comes back as it is.
    """
    start = len(_HEADER) if exif.startswith(_HEADER) else 0
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
    """Blank the second directory and what it points to, and the link that leads to it."""
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
    """Yield the whole numbers of a directory's entry; other kinds have none."""
    kind, count = struct.unpack_from(order + "HI", content, entry + 2)
    if kind not in _WORDS or count > len(content):
        return
    word, size_bytes = _WORDS[kind]
    at = entry + 8
    if count * size_bytes > 4:
        (at,) = struct.unpack_from(order + "I", content, at)
    yield from struct.unpack_from(f"{order}{count}{word}", content, at)


def _zero(content: bytearray, begin: int, end: int) -> None:
    """Blank a stretch, as far as it is in the file and not in its header."""
    begin, end = max(begin, _LEAST_BYTES), min(end, len(content))
    if begin < end:
        content[begin:end] = bytes(end - begin)
