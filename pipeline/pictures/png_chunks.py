"""The chunks of a PNG file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["PNG_SIGNATURE", "png_chunk", "png_chunks"]

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the bytes of each chunk, until the end of the file."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at : at + 12 + length]
        at += 12 + length
