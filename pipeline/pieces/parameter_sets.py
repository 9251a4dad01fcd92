"""One codec header for stretches of two encoders in one stream.

H.264: the header lists the parameter sets of both, which differ by their numbers (`OWN_SET`), so
that nothing is needed in the packets and a decoder can begin at any keyframe. HEVC's encoder cannot
be told a number: there every keyframe carries its own sets. VP9 has no header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.pieces.cuts import nal_units

__all__ = ["Convert", "JoinedHeader", "set_numbers"]

_SPS, _PPS = 7, 8
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 144, 244})
_LENGTH_AT: Final = {"h264": 4, "hevc": 21}
"""Index of the byte with the size of lengths in the codec's header; see `nal_units`."""
_HEVC_SPS, _HEVC_DELIMITER = 33, 35
_HEVC_SETS: Final = (32, _HEVC_SPS, 34)
"""VPS, SPS and PPS."""


class Convert(Protocol):
    """Converts the payload of a packet."""

    def __call__(self, payload: bytes, *, is_keyframe: bool) -> bytes:
        """Return the payload to write."""
        ...


class JoinedHeader:
    """The header of a stream that has stretches of the source and of the encoder."""

    def __init__(self, codec: str, source: bytes, encoder: bytes) -> None:
        """Join two headers.

        Args:
            codec: libav's name: h264, hevc or vp9.
            source: extradata of the source; its form is that of the output.
            encoder: extradata of the encoder, with start codes.
        """
        self._codec, self._source = codec, source
        at = _LENGTH_AT.get(codec, 0)
        with_lengths = 0 < at < len(source) and source[:1] == b"\1"
        self._length_bytes = (source[at] & 3) + 1 if with_lengths else 0
        self._in_band = codec == "hevc"
        self._of_source = list(_sets_of_hevc(source)) if self._in_band else []
        self._of_encoder = list(_sets_of_hevc(encoder)) if self._in_band else []
        self.header = _joined_h264(source, encoder) if codec == "h264" else source
        """Extradata of the output."""

    def copied(self, payload: bytes, *, is_keyframe: bool) -> bytes:
        """Return the payload in the output of a packet of the source."""
        if not (self._in_band and is_keyframe):
            return payload
        units = list(nal_units(payload, self._source, _LENGTH_AT[self._codec]))
        return payload if _has_sets(units) else self._units(_with_sets(units, self._of_source))

    def encoded(self, payload: bytes, *, is_keyframe: bool) -> bytes:
        """Return the payload in the output of a packet of the encoder."""
        if self._codec not in _LENGTH_AT:
            return payload
        units = list(nal_units(payload, b"", 0))
        if self._in_band and is_keyframe and not _has_sets(units):
            units = _with_sets(units, self._of_encoder)
        return self._units(units)

    def _units(self, units: Iterable[bytes]) -> bytes:
        return b"".join(map(self._unit, units))

    def _unit(self, unit: bytes) -> bytes:
        if self._length_bytes:
            return len(unit).to_bytes(self._length_bytes, "big") + unit
        return b"\0\0\0\1" + unit


def set_numbers(header: bytes) -> frozenset[int]:
    """Return the numbers of the parameter sets in an H.264 header; none if it is damaged."""
    try:
        return frozenset(_number(unit) for unit in _sets_of_h264(header))
    except (IndexError, TypeError):
        return frozenset()


def _sets_of_h264(header: bytes) -> list[bytes]:
    if header[:1] != b"\1":
        return [unit for unit in nal_units(header, b"", 0) if unit and unit[0] & 31 in (_SPS, _PPS)]
    return [unit for unit, _ in _Avcc.read(header).sets]


def _number(unit: bytes) -> int:
    """Return the number of a parameter set, an Exp-Golomb code."""
    # Before it an SPS has profile, constraints and level; escapes come later.
    bits = "".join(f"{byte:08b}" for byte in unit[4 if unit[0] & 31 == _SPS else 1 :][:8])
    zeros = len(bits) - len(bits.lstrip("0"))
    return int(bits[zeros : 2 * zeros + 1] or "1", 2) - 1


@dataclass(frozen=True, slots=True)
class _Avcc:
    """The fields of an `avcC` header."""

    profile: int
    compatibility: int
    level: int
    length_byte: int
    sets: list[tuple[bytes, int]]
    """Each with its kind, `_SPS` or `_PPS`."""
    rest: bytes

    @classmethod
    def read(cls, header: bytes) -> _Avcc:
        sets: list[tuple[bytes, int]] = []
        position = 5
        for kind, mask in ((_SPS, 31), (_PPS, 255)):
            count = header[position] & mask
            position += 1
            for _ in range(count):
                size = int.from_bytes(header[position : position + 2], "big")
                sets.append((header[position + 2 : position + 2 + size], kind))
                position += 2 + size
        return cls(header[1], header[2], header[3], header[4], sets, header[position:])

    def write(self) -> bytes:
        parts = [bytes((1, self.profile, self.compatibility, self.level, self.length_byte))]
        for kind, mark in ((_SPS, 0xE0), (_PPS, 0)):
            units = [unit for unit, own in self.sets if own == kind]
            parts.append(bytes([mark | len(units)]))
            parts.extend(len(unit).to_bytes(2, "big") + unit for unit in units)
        return b"".join((*parts, self.rest))


def _joined_h264(source: bytes, encoder: bytes) -> bytes:
    """Return a header with the parameter sets of two; profile and level are the higher ones."""
    own = _sets_of_h264(encoder)
    sps = next(unit for unit in own if unit[0] & 31 == _SPS)
    if source[:1] != b"\1":
        theirs = _sets_of_h264(source)
        before = next(unit for unit in theirs if unit[0] & 31 == _SPS)
        # Muxers take the profile from the first.
        ordered = [*own, *theirs] if sps[1] >= before[1] else [*theirs, *own]
        return b"".join(b"\0\0\0\1" + unit for unit in ordered)
    avcc = _Avcc.read(source)
    profile = max(avcc.profile, sps[1])
    rest = avcc.rest
    if profile in _HIGH_PROFILES and not rest:
        # 4:2:0 of 8 bits: what the source's lower profile can code.
        rest = bytes((0xFD, 0xF8, 0xF8, 0))
    return _Avcc(
        profile,
        avcc.compatibility & sps[2],
        max(avcc.level, sps[3]),
        avcc.length_byte,
        [*avcc.sets, *((unit, unit[0] & 31) for unit in own)],
        rest,
    ).write()


def _has_sets(units: Iterable[bytes]) -> bool:
    return any(unit[0] >> 1 & 63 == _HEVC_SPS for unit in units if unit)


def _with_sets(units: list[bytes], sets: list[bytes]) -> list[bytes]:
    """Return the units of an HEVC picture with parameter sets where they belong."""
    # Nothing may precede an access unit delimiter.
    at = int(bool(units and units[0] and units[0][0] >> 1 & 63 == _HEVC_DELIMITER))
    return [*units[:at], *sets, *units[at:]]


def _sets_of_hevc(header: bytes) -> Iterator[bytes]:
    """Yield the parameter sets of an HEVC header; nothing of other headers."""
    if header[:1] != b"\1":
        for unit in nal_units(header, b"", 0):
            if unit and unit[0] >> 1 & 63 in _HEVC_SETS:
                yield unit
        return
    position = 23
    for _ in range(header[22] if len(header) > 22 else 0):
        kind = header[position] & 63
        count = int.from_bytes(header[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            size = int.from_bytes(header[position : position + 2], "big")
            if kind in _HEVC_SETS:
                yield header[position + 2 : position + 2 + size]
            position += 2 + size
