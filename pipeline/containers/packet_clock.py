"""The times of a stream's packets in the output: they increase by its own ticks."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from av.packet import Packet
from av.stream import Stream

__all__ = ["PacketClock", "Written"]


_OVERLAP_S: Final = 0.1


@dataclass(slots=True)
class Written:
    """The packets of one stream of a finished file, in its order."""

    shown_s: array[float] = field(default_factory=lambda: array("d"))
    bytes: array[int] = field(default_factory=lambda: array("q"))


class PacketClock:
    """Gives the packets of one stream times in ticks of the output.

    Muxers refuse decoding times that stand still or go back, as worn recordings have them. Such a
    packet follows where the one before it ends, as it does if only its time is wrong. But where
    several overlap a little they are a tick apart, so that the good times which follow stay.
    """

    def __init__(self, tick: Fraction) -> None:
        """Begin.

        Args:
            tick: seconds, of the output's stream once its header is written.
        """
        self._tick = tick
        self._last_dts: int | None = None
        self._end = 0
        self._bad_in_a_row = 0
        self.moved = 0
        """How many packets were moved up."""
        self.shown = array("q")
        """When each packet is to be shown, in ticks."""
        self.bytes = array("q")
        """How large each one is."""

    def place(self, packet: Packet[Stream]) -> None:
        """Complete the times of a packet, in ticks of the output, and move them up if need be."""
        dts = packet.pts if packet.dts is None else packet.dts
        pts = dts if packet.pts is None else packet.pts
        scale = packet.time_base / self._tick
        duration = round((packet.duration or 0) * scale)
        own = self._end if dts is None else round(dts * scale)
        shown = own if pts is None else round(pts * scale)
        last = self._last_dts
        if last is None or own > last:
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

        QuickTime cuts plain samples anew, so where the packets are others, what is compared is when
        each byte is shown.

        Returns:
            How many packets are not there; if none, how far off in seconds the farthest is.
        """
        own_s = np.asarray(self.shown, np.float64) * float(self._tick)
        there_s, missing = np.asarray(written.shown_s), len(own_s) - len(written.shown_s)
        if not missing:
            off_s = np.abs(np.sort(own_s) - np.sort(there_s))
        elif sum(written.bytes) == sum(self.bytes):
            ours, theirs = (np.cumsum([0, *sizes[:-1]]) for sizes in (self.bytes, written.bytes))
            off_s = np.abs(np.interp(theirs, ours, own_s) - there_s)
        else:
            return missing, 0.0
        return 0, float(off_s.max(initial=0.0))
