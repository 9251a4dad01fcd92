"""What a decoded picture carries beside its samples."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import cast

import av
from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer

__all__ = ["display_matrix", "side_data"]

# PyAV's type stubs leave out what it is made from.
_read = cast("Callable[[av.VideoFrame], Mapping[str, Buffer]]", SideDataContainer)


def side_data(picture: av.VideoFrame, name: str) -> bytes | None:
    """Return a picture's side data of that name (`av.sidedata.sidedata.Type`), None without it.

    PyAV reads all or nothing, and stumbles over kinds that are newer than it, such as EXIF. What it
    has read it keeps with the picture, which then only the garbage collector frees; so this asks
    anew.
    """
    try:
        found = _read(picture).get(name)
    except ValueError:
        return None
    return None if found is None else bytes(found)


def display_matrix(picture: av.VideoFrame) -> tuple[int, ...] | None:
    """Return the nine numbers of a picture's display matrix, None when it has none."""
    matrix = side_data(picture, "DISPLAYMATRIX")
    if matrix is not None:
        return struct.unpack("=9i", matrix)
    if not picture.rotation:
        return None
    angle = math.radians(-picture.rotation)
    cos, sin = round(65536 * math.cos(angle)), round(65536 * math.sin(angle))
    return (cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30)
