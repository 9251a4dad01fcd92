"""What a container says of a video stream for which PyAV has no attribute.

libav writes a Matroska header for the stream, in which all of it has an element.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import av
from av.error import FFmpegError
from av.video import VideoStream

__all__ = ["ContainerFacts", "container_facts"]

_TRACKS, _ENTRY, _VIDEO, _COLOUR, _PROJECTION = 0x1654AE6B, 0xAE, 0xE0, 0x55B0, 0x7670
_MAPPING: Final = 0x41E4
_MAPPING_TYPE, _MAPPING_DATA = 0x41E7, 0x41ED
_SITING_X, _SITING_Y = 0x55B7, 0x55B8
_STEREO: Final = 0x53B8
_PROJECTION_TYPE: Final = 0x7671
_CROP: Final = (0x54BB, 0x54AA, 0x54CC, 0x54DD)
"""Top, bottom, left, right."""

_DOLBY_VISION: Final = frozenset({b"dvcC", b"dvvC", b"dvwC"})

_LOCATIONS: Final = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}
"""AVCHROMA_LOC_*, by Matroska's numbers."""

_PROJECTIONS: Final = {1: "equirectangular", 2: "cube map", 3: "mesh"}


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """Facts of a video stream."""

    chroma: int = 0
    """AVCHROMA_LOC_* of the stream, 0 if neither container nor codec gives it."""
    crop_px: tuple[int, int, int, int] = (0, 0, 0, 0)
    """What players cut off at the top, bottom, left and right."""
    dolby_vision: tuple[int, int] | None = None
    """Dolby Vision profile, and what its pictures are without the metadata: 0 nothing usable,
    1 HDR10, 2 SDR, 4 HLG."""
    projection: str = ""
    """Of a 360-degree video, else empty."""
    stereo: bool = False
    """Whether a picture holds one for each eye."""


def container_facts(stream: VideoStream) -> ContainerFacts:
    """Return what the container says of a stream; nothing if libav cannot write it to Matroska."""
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as container:
            container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
            written = header.getvalue()
    except (FFmpegError, ValueError):
        return ContainerFacts()
    return _facts(written)


def _facts(header: bytes) -> ContainerFacts:
    chroma, projection, stereo, crop = 0, "", False, [0, 0, 0, 0]
    dolby_vision: tuple[int, int] | None = None
    tracks = header.find(_TRACKS.to_bytes(4, "big"))
    for _, listed in _elements(header[max(tracks, 0) :], {_TRACKS}):
        for _, entry in _elements(listed, {_ENTRY}):
            for _, mapping in _elements(entry, {_MAPPING}):
                dolby_vision = _dolby_vision(mapping) or dolby_vision
            for _, video in _elements(entry, {_VIDEO}):
                for name, value in _elements(video):
                    if name in _CROP:
                        crop[_CROP.index(name)] = int.from_bytes(value, "big")
                    elif name == _COLOUR:
                        chroma = _siting(value)
                    elif name == _PROJECTION:
                        kind = next((v for _, v in _elements(value, {_PROJECTION_TYPE})), b"")
                        projection = _PROJECTIONS.get(int.from_bytes(kind, "big"), "")
                    elif name == _STEREO:
                        stereo = any(value)
    top, bottom, left, right = crop
    return ContainerFacts(chroma, (top, bottom, left, right), dolby_vision, projection, stereo)


def _siting(colour: bytes) -> int:
    found = dict(_elements(colour, {_SITING_X, _SITING_Y}))
    key = tuple(int.from_bytes(found.get(name, b""), "big") for name in (_SITING_X, _SITING_Y))
    return _LOCATIONS.get((key[0], key[1]), 0)


def _dolby_vision(mapping: bytes) -> tuple[int, int] | None:
    found = dict(_elements(mapping, {_MAPPING_TYPE, _MAPPING_DATA}))
    kind, data = found.get(_MAPPING_TYPE, b""), found.get(_MAPPING_DATA, b"")
    if kind not in _DOLBY_VISION or len(data) < 5:
        return None
    # Version, then 7 bits of profile; the compatibility is after 6 bits of level and 3 flags.
    return data[2] >> 1, data[4] >> 4


def _elements(data: bytes, wanted: set[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and contents of EBML elements."""
    at = 0
    while at < len(data):
        length = 9 - data[at].bit_length()
        name = int.from_bytes(data[at : at + length], "big")
        at += length
        if at >= len(data):
            return
        length = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + length], "big") & ~(1 << 7 * length)
        at += length
        if wanted is None or name in wanted:
            yield name, data[at : at + size]
        at += size
