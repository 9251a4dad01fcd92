"""Trimming other streams and chapters to the part of a video that is processed.

The output's times start at 0 with the first frame. Packets are not split: sound starts with the
first packet inside the part, at its exact time.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Final

from av.packet import Packet
from av.stream import Stream

from nodes.types import VideoInfo
from pipeline.pieces.timing import VideoTiming

if TYPE_CHECKING:
    from av.container.core import Chapter  # only in PyAV's stubs

__all__ = ["Trim"]


_ROUNDING_S: Final = Fraction(2, 1_000_000)
"""Resolution of a container's start time."""


class Trim:
    """The part of a source that is in the output."""

    def __init__(self, info: VideoInfo, first_pts: int) -> None:
        """Use the part that `nodes.decode` has decoded.

        Args:
            info: the encoded video; without `span_pts` the part has no end.
            first_pts: time that is 0 in the output, in ticks of `info.time_base`.
        """
        end_pts = info.span_pts[1] if info.span_pts else None
        self._first_pts = first_pts
        self._start_s = first_pts * info.time_base
        self._end_s = None if end_pts is None else end_pts * info.time_base

    @property
    def start_s(self) -> Fraction:
        """The source's time that is 0 in the output."""
        return self._start_s

    def timing(self, timing: VideoTiming) -> VideoTiming:
        """Return the video's times, relative to its first frame."""
        first = self._first_pts
        return replace(
            timing,
            pts=array("q", (pts - first for pts in timing.pts)),
            shown=array("q", (pts - first for pts in timing.shown)),
        )

    def keeps(self, packet: Packet[Stream]) -> bool:
        """Return whether a packet is in the part, and shift its times if it is.

        A subtitle that is shown at the start of the part begins there.
        """
        if packet.pts is None:
            packet.pts = packet.dts
        if packet.pts is None:
            return False
        tick, duration = packet.time_base, packet.duration or 0
        late = self._start_s - packet.pts * tick
        if self._end_s is not None and packet.pts * tick >= self._end_s:
            return False
        if late > _ROUNDING_S:
            if packet.stream.type != "subtitle" or duration * tick <= late:
                return False
            cut = floor(late / tick)
            packet.pts += cut
            packet.dts = packet.pts
            packet.duration = duration - cut
        origin = floor(self._start_s / tick)
        packet.pts -= origin
        packet.dts = None if packet.dts is None else min(packet.dts - origin, packet.pts)
        return True

    def chapters(self, chapters: Sequence[Chapter]) -> list[Chapter]:
        """Return the chapters that overlap the part, clipped to it, relative to its start."""
        kept: list[Chapter] = []
        for chapter in chapters:
            tick = chapter["time_base"] or Fraction(1)
            origin = round(self._start_s / tick)
            end = chapter["end"] if self._end_s is None else round(self._end_s / tick)
            start, end = max(chapter["start"], origin), min(chapter["end"], end)
            if start < end:
                cut = chapter.copy()
                cut["start"], cut["end"] = start - origin, end - origin
                kept.append(cut)
        return kept
