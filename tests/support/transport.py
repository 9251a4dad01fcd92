"""MPEG-TS files with times as recorders leave them: the PES headers are written over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["AUDIO", "VIDEO", "joined", "rewrite_times", "without_packets"]

AUDIO: Final = 0xC0
VIDEO: Final = 0xE0
"""PES stream ids."""

_PACKET_BYTES: Final = 188


def rewrite_times(path: Path, stream_id: int, change: Callable[[int, int], int | None]) -> Path:
    """Give the PES packets of a stream other times.

    Args:
        path: changed in place.
        stream_id: `AUDIO` or `VIDEO`.
        change: takes the number of the PES packet and one of its times, in ticks of 1/90000 s, and
            returns another; None takes the packet's times away.
    """
    content = bytearray(path.read_bytes())
    for number, start in enumerate(_pes_headers(content, stream_id)):
        flags = content[start + 7] >> 6
        places = [start + 9 + 5 * field for field in range({2: 1, 3: 2}.get(flags, 0))]
        changed = [(place, change(number, _time(content, place))) for place in places]
        for place, time in changed:
            if time is None:
                content[start + 7] &= 0x3F
                content[place : place + 5] = b"\xff" * 5
            else:
                _write_time(content, place, time)
    path.write_bytes(content)
    return path


def joined(path: Path, *parts: Path) -> Path:
    """Write files one after the other, as a recorder that is restarted does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def _pes_headers(content: bytearray, stream_id: int) -> Iterator[int]:
    for packet in range(0, len(content) - _PACKET_BYTES + 1, _PACKET_BYTES):
        begins, adapted = content[packet + 1] & 0x40, content[packet + 3] & 0x20
        start = packet + 4 + (content[packet + 4] + 1 if adapted else 0)
        if begins and bytes(content[start : start + 4]) == bytes((0, 0, 1, stream_id)):
            yield start


def _time(content: bytearray, at: int) -> int:
    a, b, c, d, e = content[at : at + 5]
    return (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1


def _write_time(content: bytearray, at: int, time: int) -> None:
    content[at] = content[at] & 0xF1 | (time >> 30 & 7) << 1
    content[at + 1] = time >> 22 & 0xFF
    content[at + 2] = (time >> 15 & 0x7F) << 1 | 1
    content[at + 3] = time >> 7 & 0xFF
    content[at + 4] = (time & 0x7F) << 1 | 1


def without_packets(path: Path, pid: int) -> Path:
    """Take all packets of one kind away, as of a stream that is announced and never comes."""
    content = path.read_bytes()
    packets = [content[at : at + _PACKET_BYTES] for at in range(0, len(content), _PACKET_BYTES)]
    kept = [packet for packet in packets if (packet[1] & 0x1F) << 8 | packet[2] != pid]
    path.write_bytes(b"".join(kept))
    return path
