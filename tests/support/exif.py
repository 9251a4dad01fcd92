"""EXIF made in code, with a thumbnail as cameras write it."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

__all__ = ["HEADER", "noise_jpeg", "thumbnail_exif"]

HEADER = b"Exif\0\0"


def noise_jpeg(seed: int) -> bytes:
    """Return a small picture of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "JPEG")
    return content.getvalue()


def thumbnail_exif(order: str, thumbnail: bytes, *, bare: bool = False) -> bytes:
    """Return EXIF of a camera's name, then a directory with a thumbnail, then a maker's notes.

    Args:
        order: of bytes, `<` or `>`.
        thumbnail: what it holds.
        bare: point to it as to bare pixels in two strips, not as to a JPEG.
    """
    name, notes = b"Acme camera\0", b"notes of the maker"
    first, second = 8, 8 + 2 + 24 + 4 + len(name)
    entries = [(0x0201, 4, 1), (0x0202, 4, 1)] if not bare else [(0x0111, 4, 2), (0x0117, 3, 2)]
    end = second + 2 + 12 * len(entries) + 4
    lists = end + 12 if bare else end
    half = len(thumbnail) // 2
    places = struct.pack(order + "2I2H", lists, lists + half, half, len(thumbnail) - half)
    values = [end, struct.unpack(order + "I", places[8:])[0]] if bare else [end, len(thumbnail)]
    if order == ">" and bare:
        values[1] = (half << 16) | (len(thumbnail) - half)
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    content += struct.pack(order + "H", 2)
    content += struct.pack(order + "HHII", 0x010F, 2, len(name), first + 2 + 24 + 4)
    content += struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)
    content += struct.pack(order + "I", second) + name
    content += struct.pack(order + "H", len(entries))
    for (tag, kind, count), value in zip(entries, values, strict=True):
        content += struct.pack(order + "HHII", tag, kind, count, value)
    content += bytes(4) + (places if bare else b"") + thumbnail
    return HEADER + content + notes
