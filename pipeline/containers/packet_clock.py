"""The times of packets of the streams beside the video: believed, and strictly increasing."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from av.packet import Packet
from av.stream import Stream

from nodes.reports import counted

__all__ = ["PacketClock", "SteadyTimes", "Written"]

_OVERLAP_S: Final = 0.1

_AHEAD_S: Final = Fraction(1, 10)
"""Shorter gaps in the sound are not looked at, because such an error is hardly heard, s."""
_MOST_HELD: Final = 256
"""Packets without times after a gap; once there are so many, the time before them is believed."""


@dataclass(slots=True)
class Written:
    """The packets of a stream in the finished file, in file order."""

    shown_s: array[float] = field(default_factory=lambda: array("d"))
    bytes: array[int] = field(default_factory=lambda: array("q"))


class PacketClock:
    """Assigns times in ticks of the output to the packets of a stream.

    Muxers refuse decoding times that do not increase, which damaged recordings have. Such a packet
    is placed at the end of the previous one. If several packets overlap a little, they are placed a
    tick apart, so that following correct times are kept.
    """

    def __init__(self, tick: Fraction, *, may_repeat: bool = False) -> None:
        """Start a stream.

        Args:
            tick: time base of the output's stream after its header is written, s.
            may_repeat: whether the muxer takes successive packets of one decoding time, as there
                are of sound in packets of less than a tick.
        """
        self._tick, self._may_repeat = tick, may_repeat
        self._last_dts: int | None = None
        self._end = 0
        self._bad_in_a_row = 0
        self.moved = 0
        """Number of packets whose time was changed."""
        self.shown = array("q")
        """Presentation time of each packet, in ticks."""
        self.bytes = array("q")
        """Size of each packet, bytes."""

    def place(self, packet: Packet[Stream]) -> None:
        """Set the times of a packet, in ticks of the output."""
        dts = packet.pts if packet.dts is None else packet.dts
        pts = dts if packet.pts is None else packet.pts
        scale = packet.time_base / self._tick
        duration = round((packet.duration or 0) * scale)
        own = self._end if dts is None else round(dts * scale)
        shown = own if pts is None else round(pts * scale)
        last = self._last_dts
        repeats = self._may_repeat and own == last and self._end <= own
        if last is None or own > last or repeats:
            placed, self._bad_in_a_row = own, 0
        else:
            overlaps = self._bad_in_a_row and (self._end - own) * self._tick < _OVERLAP_S
            placed = last + 1 if overlaps else max(self._end, last + 1)
            self._bad_in_a_row += 1
            self.moved += 1
        packet.time_base, packet.dts, packet.duration = self._tick, placed, duration
        packet.pts = max(shown, placed)
        self._last_dts, self._end = placed, placed + duration
        self.shown.append(packet.pts)
        self.bytes.append(packet.size)

    def compared(self, written: Written) -> tuple[int, float]:
        """Compare with the packets of the finished file.

        QuickTime splits uncompressed sound into other packets. In this case the times of bytes are
        compared.

        Returns:
            The number of missing packets; and if none, the largest deviation in seconds.
        """
        own_s = np.asarray(self.shown, np.float64) * float(self._tick)
        there_s, missing = np.asarray(written.shown_s), len(own_s) - len(written.shown_s)
        if not missing:
            off_s = np.abs(np.sort(own_s) - np.sort(there_s))
        elif sum(written.bytes) == sum(self.bytes):
            ours, theirs = np.cumsum([0, *self.bytes]), np.cumsum([0, *written.bytes[:-1]])
            ends_s = [*own_s, self._end * float(self._tick)]
            off_s = np.abs(np.interp(theirs, ours, ends_s) - there_s)
        else:
            return missing, 0.0
        return 0, float(off_s.max(initial=0.0))


class SteadyTimes:
    """Corrects single times of sound that are too late, as damage leaves them.

    A packet's time is too late if the next one of its stream is before it: the packet is moved to
    where the sound before it ends, because all that follows would be late or cut. To find out, a
    packet after a gap is held until the next one comes. Other streams pass unchanged.
    """

    def __init__(self) -> None:
        self._end_s: dict[int, Fraction] = {}
        self._held: defaultdict[int, list[Packet[Stream]]] = defaultdict(list)
        self._moved: Counter[int] = Counter()

    def push(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """Yield the packets that are ready once this one came, in order."""
        index, begin_s = packet.stream_index, _begin_s(packet)
        if packet.stream.type != "audio" or (begin_s is None and not self._held[index]):
            yield packet
            return
        if begin_s is None:
            self._held[index].append(packet)
            if len(self._held[index]) >= _MOST_HELD:
                yield from self._settled(index, None)
            return
        yield from self._settled(index, begin_s)
        end_s = self._end_s.get(index)
        if end_s is None or begin_s - end_s > _AHEAD_S:
            self._held[index].append(packet)
            return
        yield self._seen(packet)

    def end(self) -> Iterator[Packet[Stream]]:
        """Yield what is held."""
        for index in list(self._held):
            yield from self._settled(index, None)

    @property
    def notes(self) -> list[str]:
        """Messages for the user."""
        return [
            f"audio stream {index}: {counted(count, 'time')} far ahead of the next: moved back"
            for index, count in self._moved.items()
        ]

    def _settled(self, index: int, next_s: Fraction | None) -> Iterator[Packet[Stream]]:
        """Yield what is held of a stream, whose next packet begins at `next_s`."""
        held = self._held.pop(index, [])
        begin_s = _begin_s(held[0]) if held else None
        if begin_s is not None and next_s is not None and next_s < begin_s:
            length_s = sum((_length_s(packet) for packet in held), Fraction(0))
            begin_s = self._end_s.get(index, next_s - length_s)
            held[0].pts = held[0].dts = round(begin_s / held[0].time_base)
            self._moved[index] += 1
        for packet in held:
            yield self._seen(packet)

    def _seen(self, packet: Packet[Stream]) -> Packet[Stream]:
        index, begin_s = packet.stream_index, _begin_s(packet)
        begin_s = self._end_s.get(index) if begin_s is None else begin_s
        if begin_s is not None:
            self._end_s[index] = begin_s + _length_s(packet)
        return packet


def _begin_s(packet: Packet[Stream]) -> Fraction | None:
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None else ticks * packet.time_base


def _length_s(packet: Packet[Stream]) -> Fraction:
    return (packet.duration or 0) * packet.time_base
