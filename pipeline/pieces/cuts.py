"""Keyframes at which a coded video can be cut so that both sides can be decoded alone.

A keyframe is one if no picture refers across it: all pictures before it in decoding order are also
shown before it, all after it are shown after it (a closed GOP), and the decoder forgets all earlier
pictures there. Keyframe flags of containers do not say the last: they may stand on pictures that
begin an open GOP or a gradual refresh.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from av.packet import Packet
from av.stream import Stream

__all__ = ["JOINABLE", "CutScan", "nal_units"]

_START: Final = b"\0\0\1"


class CutScan:
    """Collects the packets of a video, in decoding order."""

    def __init__(self, codec: str, header: bytes) -> None:
        """Begin.

        Args:
            codec: libav's name.
            header: the stream's extradata.
        """
        self._starts_anew = JOINABLE.get(codec)
        self._header = header
        self._pts = array("q")
        self._candidates: list[int] = []

    def add(self, packet: Packet[Stream]) -> None:
        """Take the next packet; it has a pts."""
        assert packet.pts is not None  # noqa: S101 - for the type checker
        if (
            packet.is_keyframe
            and self._starts_anew is not None
            and self._starts_anew(bytes(packet), self._header)
        ):
            self._candidates.append(len(self._pts))
        self._pts.append(packet.pts)

    def cuts(self) -> Sequence[int]:
        """Return the pts of the keyframes at which the video can be cut, sorted.

        The first picture is not one of them. There are none for codecs that are not `JOINABLE`.
        """
        earliest_after = array("q", self._pts)
        for index in range(len(earliest_after) - 2, -1, -1):
            earliest_after[index] = min(earliest_after[index], earliest_after[index + 1])
        latest_before = array("q", self._pts)
        for index in range(1, len(latest_before)):
            latest_before[index] = max(latest_before[index], latest_before[index - 1])
        return array(
            "q",
            (
                self._pts[index]
                for index in self._candidates
                if index
                and latest_before[index - 1] < self._pts[index]
                and earliest_after[index] == self._pts[index]
            ),
        )


def nal_units(payload: bytes, header: bytes, length_at: int) -> Iterator[bytes]:
    """Yield the NAL units of an H.264 or HEVC packet, without start codes or lengths.

    Args:
        payload: of the packet.
        header: the stream's extradata, whose first byte is 1 if units are preceded by lengths.
        length_at: index of the byte in `header` whose last two bits are the size of a length less
            1.
    """
    if header[:1] != b"\1" or len(header) <= length_at:
        yield from _between_start_codes(payload)
        return
    size, position = (header[length_at] & 3) + 1, 0
    while position + size <= len(payload):
        end = position + size + int.from_bytes(payload[position : position + size], "big")
        yield payload[position + size : end]
        position = end


def _between_start_codes(payload: bytes) -> Iterator[bytes]:
    start = payload.find(_START)
    while start >= 0:
        start += len(_START)
        end = payload.find(_START, start)
        # A fourth byte of a start code, and padding, are zeros; a unit ends in another byte.
        yield payload[start : end if end >= 0 else len(payload)].rstrip(b"\0")
        start = end


def _is_idr_h264(payload: bytes, header: bytes) -> bool:
    kinds = [unit[0] & 0x1F for unit in nal_units(payload, header, 4) if unit]
    pictures = [kind for kind in kinds if 1 <= kind <= 5]
    return bool(pictures) and set(pictures) == {5}


def _is_idr_hevc(payload: bytes, header: bytes) -> bool:
    kinds = [unit[0] >> 1 & 0x3F for unit in nal_units(payload, header, 21) if unit]
    pictures = [kind for kind in kinds if kind < 32]
    return bool(pictures) and set(pictures) <= {19, 20}


def _is_key_vp9(payload: bytes, header: bytes) -> bool:
    del header
    marked, shows_earlier, is_inter = payload[0] >> 6 == 2, payload[0] & 8, payload[0] & 4
    # Profile 3 has one bit more before these.
    return marked and payload[0] >> 4 & 3 != 3 and not shows_earlier and not is_inter


JOINABLE: Final[Mapping[str, Callable[[bytes, bytes], bool]]] = {
    "h264": _is_idr_h264,
    "hevc": _is_idr_hevc,
    "vp9": _is_key_vp9,
}
"""Codecs in which encoded stretches can be put between those of the source -> whether a decoder
forgets all earlier pictures at a keyframe, given its packet and the stream's extradata."""
