"""The times of animated WebP files."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, Final

__all__ = ["set_last_duration"]

_PICTURE: Final = b"ANMF"
_DURATION_AT: Final = 12
"""Where such a chunk has its duration, in ms."""


def set_last_duration(file: BinaryIO, duration_ms: int) -> None:
    """Set for how long the last picture of an animated WebP is shown.

    libwebp is not told this by libav, and takes the mean of the other pictures.

    Args:
        file: open for reading and writing.
        duration_ms: cut to the 24 bits that there are.
    """
    size, at, last = file.seek(0, os.SEEK_END), 12, None
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        last = at + 8 if kind == _PICTURE else last
        at += 8 + length + length % 2
    if last is not None:
        file.seek(last + _DURATION_AT)
        file.write(min(duration_ms, 0xFF_FFFF).to_bytes(3, "little"))
