"""Shifting the times of other streams at restarts of the source's clock, like the video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

from nodes.types import Restart

__all__ = ["RestartedTimes"]

_NEAR_S: Final = 1
"""Largest difference of the starts and ends of the streams of one recording, s."""


class RestartedTimes:
    """Adds the offsets of the video's times to all streams, from the same position on.

    A stream whose times go back by about as much as the video's has reached the next recording.
    Streams with irregular packets, such as subtitles, follow the position of the video in the file.
    """

    def __init__(self, restarts: Sequence[Restart], time_base: Fraction, video: Stream) -> None:
        """Use the restarts that `nodes.decode` found.

        Args:
            restarts: the restarts, in order.
            time_base: time base of their times.
            video: the video stream.
        """
        self._jumps_s = [(r.first_pts - r.last_pts) * time_base for r in restarts]
        self._offsets_s = [Fraction(0), *(r.offset_ticks * time_base for r in restarts)]
        self._video = video
        self._last_s: dict[int, Fraction] = {}
        self._recording: defaultdict[int, int] = defaultdict(int)

    def __bool__(self) -> bool:
        """Return whether there are any restarts."""
        return bool(self._jumps_s)

    def move(self, packet: Packet[Stream]) -> None:
        """Shift a packet. Call it with the packets of all streams, in file order."""
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None or not self._jumps_s:
            return
        index, tick = packet.stream_index, packet.time_base
        is_steady = packet.stream.type in ("audio", "video")
        number = self._recording[index if is_steady else self._video.index]
        last_s, now_s = self._last_s.get(index), ticks * tick
        if is_steady and last_s is not None:
            for later, jump_s in enumerate(self._jumps_s[number:], number + 1):
                step_s = now_s - last_s
                # A packet that comes a little late is no restart, however small that is.
                near_s = min(_NEAR_S, abs(jump_s) / 2)
                if abs(step_s - jump_s) < near_s and step_s * jump_s > 0:
                    number = self._recording[index] = later
                    break
        self._last_s[index] = now_s
        offset = round(self._offsets_s[number] / tick)
        packet.pts = None if packet.pts is None else packet.pts + offset
        packet.dts = None if packet.dts is None else packet.dts + offset
