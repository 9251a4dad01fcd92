"""What reading a file through says of its sound: whether there is any, and whether it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

__all__ = ["SoundScan"]

_GAP_S: Final = Fraction(1, 10)
"""How far sound may be from where its samples, counted, belong; swresample's own limit."""


@dataclass(slots=True)
class SoundScan:
    """The packets of one stream of sound, so far."""

    packets: int = 0
    has_gaps: bool = False
    """Whether a packet begins elsewhere than where the samples before it end."""
    _end_s: Fraction | None = None

    def add(self, packet: Packet[Stream]) -> None:
        """Count a packet."""
        self.packets += 1
        if packet.pts is None:
            return
        begin_s = packet.pts * packet.time_base
        if self._end_s is None:
            self._end_s = begin_s
        self.has_gaps |= abs(begin_s - self._end_s) > _GAP_S
        self._end_s += (packet.duration or 0) * packet.time_base
