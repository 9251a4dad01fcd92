"""Reading the side data of decoded pictures.

PyAV's side data must not be used on pictures as they come from a decoder. It wraps the metadata
dictionary of each entry in an object that frees it, which the picture does as well (with PyAV
18.1.0 every PNG with an `iCCP` chunk crashes the process). It also reads all entries at once, and
raises for kinds that it does not know, such as EXIF. Therefore libav first removes all other
entries from a second reference to the picture, and only kinds without a dictionary are read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Final, Literal, cast

import av
from av.buffer import Buffer
from av.filter import Graph
from av.filter.context import FilterContext
from av.sidedata.sidedata import SideDataContainer, Type

from nodes.picture.filters import PictureFilter

__all__ = ["CARRIED", "DOLBY_VISION", "Kind", "carried_kinds", "display_matrix", "side_data"]

CARRIED: Final[Mapping[str, str]] = {
    "AFD": "active format description",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata of each picture",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata of each picture",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata of each picture",
    "S12M_TIMECODE": "timecode of each picture",
    "SPHERICAL": "360-degree projection",
    "STEREO3D": "arrangement of pictures for two eyes",
}
"""Side data that no encoder here is given: the kind, and what it is."""

DOLBY_VISION: Final = "Dolby Vision record"
"""How the words for the loss of that begin."""

Kind = Literal["DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"]
"""Names in `av.sidedata.sidedata.Type` of kinds without a metadata dictionary."""

_KINDS: Final = 64
"""An upper bound of the number of libav's side data kinds (FFmpeg 8 has 33)."""

# PyAV's type stubs lack the constructor's argument.
_read = cast("Callable[[av.VideoFrame], Mapping[str, Buffer]]", SideDataContainer)


def side_data(picture: av.VideoFrame, kind: Kind) -> bytes | None:
    """Return a picture's side data of one kind as the bytes of libav's structure, or None."""
    found = _read(_with_only(picture, kind)).get(kind)
    return None if found is None else bytes(found)


def _with_only(picture: av.VideoFrame, kind: Kind) -> av.VideoFrame:
    """Return a reference to the picture without side data of other kinds."""
    unwanted = set(range(_KINDS)) - {Type[kind].value}

    def add(graph: Graph) -> list[FilterContext]:
        return [graph.add("sidedata", f"mode=delete:type={number}") for number in unwanted]

    ticks = picture.time_base or Fraction(1, 90_000)
    (stripped,) = PictureFilter(picture, ticks, add).push(picture)
    return stripped


def display_matrix(picture: av.VideoFrame) -> tuple[int, ...] | None:
    """Return the nine numbers of a picture's display matrix, None if it has none."""
    matrix = side_data(picture, "DISPLAYMATRIX")
    if matrix is not None:
        return struct.unpack("=9i", matrix)
    if not picture.rotation:
        return None
    angle = math.radians(-picture.rotation)
    cos, sin = round(65536 * math.cos(angle)), round(65536 * math.sin(angle))
    return (cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30)


def carried_kinds(picture: av.VideoFrame) -> list[str]:
    """Return the kinds of `CARRIED` that a picture has."""
    ticks = picture.time_base or Fraction(1, 90_000)
    found: list[str] = []
    for kind in CARRIED:
        # Lets through pictures that have it.
        options = f"mode=select:type={Type[kind].value}"
        select = PictureFilter(picture, ticks, partial(_select, options))
        if select.push(picture):
            found.append(kind)
    return found


def _select(options: str, graph: Graph) -> list[FilterContext]:
    return [graph.add("sidedata", options)]
