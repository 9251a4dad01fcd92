"""IPTC's records (IIM: title, author, place ...) of JPEG and TIFF files."""

from __future__ import annotations

import struct
from typing import Final

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

__all__ = ["iptc_of", "iptc_segment"]

_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_RESOURCE: Final = 0x0404
"""Number of IPTC among Photoshop's resources."""
_TAG: Final = 33723
"""Tag of a TIFF with the records."""
_RECORD: Final = b"\x1c"
"""How each record begins."""

_VALUE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Size of each type of a TIFF's values."""


def iptc_of(image: Image.Image, content: bytes) -> tuple[bytes | None, bool]:
    """Return the records of a file, None without, and whether they are damaged.

    Args:
        image: as Pillow opened it.
        content: the file.
    """
    if image.format in ("JPEG", "MPO"):
        return image.info.get("photoshop", {}).get(_RESOURCE), False
    if not isinstance(image, TiffImageFile):
        return None, False
    try:
        records = _tiff_value(content, _TAG)
        if records is None:
            records = image.get_photoshop_blocks().get(_RESOURCE, {}).get("data")
    except Exception:  # noqa: BLE001 - Pillow expects bytes, and a file may have anything
        return None, True
    if records is None or records.startswith(_RECORD):
        return records, False
    # As a list of numbers of 32 bits, which programs of the other byte order have turned round.
    swapped = b"".join(records[at : at + 4][::-1] for at in range(0, len(records), 4))
    return (swapped, False) if swapped.startswith(_RECORD) else (None, True)


def iptc_segment(records: bytes) -> bytes:
    """Return the segment of a JPEG with records, without Photoshop's thumbnail of the picture."""
    # Padding may make it longer than a segment, which is for the caller to see.
    size = struct.pack(">HHI", _RESOURCE, 0, len(records))
    content = _PHOTOSHOP + b"8BIM" + size + records + b"\0" * (len(records) % 2)
    return b"\xff\xed" + struct.pack(">H", (len(content) + 2) & 0xFFFF) + content


def _tiff_value(content: bytes, tag: int) -> bytes | None:
    """Return the bytes of a tag of a TIFF's first picture, as they are in the file.

    Pillow gives the first of several numbers only where the standard has one.

    Raises:
        struct.error, KeyError: the file is damaged.
    """
    order = "<" if content.startswith(b"II") else ">"
    big = struct.unpack_from(f"{order}H", content, 2) == (43,)
    head, counts, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    (at,) = struct.unpack_from(order + head, content, 8 if big else 4)
    (entries,) = struct.unpack_from(order + counts, content, at)
    at += struct.calcsize(order + counts)
    for number in range(entries):
        offset = at + number * struct.calcsize(order + entry)
        found, kind, count, value = struct.unpack_from(order + entry, content, offset)
        if found != tag:
            continue
        size = _VALUE_BYTES[kind] * count
        if size <= len(value):
            return value[:size]
        (start,) = struct.unpack(order + head, value)
        return content[start : start + size]
    return None
