"""What a decoded picture carries beside its samples.

PyAV's container of side data must never see a picture as a decoder gives it. It wraps each entry's
own dictionary of names in an object that frees it, while the picture frees it too (measured with
PyAV 18.1.0: every PNG with an `iCCP` chunk, whose profile's name libav keeps there, ends the
process). It also reads all entries or none, and raises over kinds that are newer than it, such as
EXIF, after the damage is done. So every entry but the wanted one is taken off by libav first, from
a second reference to the picture, and only kinds are asked for to which libav gives no dictionary.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final, Literal, cast

import av
from av.buffer import Buffer
from av.filter import Graph
from av.filter.context import FilterContext
from av.sidedata.sidedata import SideDataContainer, Type

from nodes.picture.filters import PictureFilter

__all__ = ["Kind", "display_matrix", "side_data"]

Kind = Literal["DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"]
"""Names in `av.sidedata.sidedata.Type` of plain structures, to which libav adds no dictionary."""

_KINDS: Final = 64
"""More than libav has kinds of side data (FFmpeg 8 has 33), known to PyAV or not."""

# PyAV's type stubs leave out what it is made from.
_read = cast("Callable[[av.VideoFrame], Mapping[str, Buffer]]", SideDataContainer)


def side_data(picture: av.VideoFrame, kind: Kind) -> bytes | None:
    """Return a picture's side data of one kind, as libav's structure in memory; None without it."""
    found = _read(_with_only(picture, kind)).get(kind)
    return None if found is None else bytes(found)


def _with_only(picture: av.VideoFrame, kind: Kind) -> av.VideoFrame:
    """Return a reference to the picture that carries no side data of any other kind."""
    unwanted = set(range(_KINDS)) - {Type[kind].value}

    def add(graph: Graph) -> list[FilterContext]:
        return [graph.add("sidedata", f"mode=delete:type={number}") for number in unwanted]

    ticks = picture.time_base or Fraction(1, 90_000)
    (stripped,) = PictureFilter(picture, ticks, add).push(picture)
    return stripped


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
