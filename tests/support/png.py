"""PNG files chunk by chunk, with whatever chunks a test wants."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import ImageCms

__all__ = ["exif_chunk", "icc_chunk", "png_chunk", "write_png"]


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def icc_chunk(name: bytes = b"sRGB") -> bytes:
    """Return an `iCCP` chunk with a real profile."""
    # Pillow's type stubs leave the method out.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return png_chunk(b"iCCP", name + b"\0\0" + zlib.compress(profile))


def exif_chunk(orientation: int = 6) -> bytes:
    """Return an `eXIf` chunk with nothing but an orientation."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return png_chunk(b"eXIf", b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4))


def write_png(
    path: Path, extra: bytes = b"", *, width_px: int = 64, height_px: int = 48, pictures: int = 1
) -> Path:
    """Write a black picture, or an animation of several, and return the path.

    Args:
        path: where.
        extra: chunks between the header and the pixels.
        width_px: of the picture.
        height_px: of the picture.
        pictures: more than one make an animation.
    """
    size = struct.pack(">II", width_px, height_px)
    pixels = zlib.compress(bytes((1 + 3 * width_px) * height_px))
    content = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size + bytes((8, 2, 0, 0, 0))) + extra
    if pictures == 1:
        content += png_chunk(b"IDAT", pixels)
    else:
        content += png_chunk(b"acTL", struct.pack(">II", pictures, 0))
        for number in range(pictures):
            order = max(0, 2 * number - 1)
            control = struct.pack(">I", order) + size + bytes(8) + struct.pack(">HHBB", 1, 25, 0, 0)
            content += png_chunk(b"fcTL", control)
            data = (
                (b"IDAT", pixels)
                if not number
                else (b"fdAT", struct.pack(">I", order + 1) + pixels)
            )
            content += png_chunk(*data)
    path.write_bytes(content + png_chunk(b"IEND", b""))
    return path
