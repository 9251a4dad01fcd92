"""When the encoded pictures are shown and decoded, read from the files they were encoded to."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path

from nodes.encode.writer import PTS_OFFSET_KEY
from nodes.errors import MediaError
from nodes.media.open import open_media, ticks_of, video_stream
from nodes.types import VideoInfo

__all__ = ["VideoTiming", "deviation", "packet_times", "read_timing"]


@dataclass(frozen=True, slots=True)
class VideoTiming:
    """The encoded video's times, in ticks of the source's time base, in decoding order."""

    pts: array[int]
    shown: array[int]
    """The same, sorted."""
    reorder: int
    last_duration_ticks: int

    def dts(self, number: int) -> int:
        """Return the decoding time of packet `number`."""
        if number >= self.reorder:
            return self.shown[number - self.reorder]
        gap = self.shown[1] - self.shown[0]
        return self.shown[0] - (self.reorder - number) * gap

    def duration(self, number: int) -> int:
        """Return how long the picture of packet `number` is shown."""
        index = bisect_right(self.shown, self.pts[number])
        if index == len(self.shown):
            return self.last_duration_ticks
        return self.shown[index] - self.pts[number]


def read_timing(videos: Sequence[Path], info: VideoInfo, last_duration_ticks: int) -> VideoTiming:
    """Read the times of every encoded packet, without decoding.

    Args:
        videos: the encoded segments of one video, in order.
        info: the video; the times are given in its time base.
        last_duration_ticks: how long the last frame is shown, 0 if that is not known.

    Raises:
        MediaError: a file cannot be read, is empty, has times off the source's ticks, or begins
            before the one before it ends.
    """
    pts = array("q")
    latest: int | None = None
    for video in videos:
        own = array("q", packet_times(video, info))
        if not own:
            raise MediaError(f"{video}: holds no frame")
        if latest is not None and min(own) <= latest:
            raise MediaError(f"{video}: begins at {min(own)}, expected later than {latest}")
        latest = max(own)
        pts.extend(own)
    shown = array("q", sorted(pts))
    reorder = max(number - bisect_left(shown, time) for number, time in enumerate(pts))
    if not last_duration_ticks:
        last_duration_ticks = shown[-1] - shown[-2] if len(shown) > 1 else 1
    return VideoTiming(pts, shown, reorder, last_duration_ticks)


def packet_times(video: Path, info: VideoInfo) -> Iterator[int]:
    """Yield the presentation time of each packet, in decoding order, in ticks of the source.

    Args:
        video: what `nodes.encode` made.
        info: the video that was encoded.

    Raises:
        MediaError: the file cannot be read, or has times off the source's ticks.
    """
    with open_media(str(video)) as container:
        stream = video_stream(container, str(video))
        offset = int(container.metadata.get(PTS_OFFSET_KEY, "0"))
        factor = ticks_of(stream) / info.time_base
        packets = (packet for packet in container.demux(stream) if packet.size)
        for number, packet in enumerate(packets):
            exact = (packet.pts or 0) * factor
            if packet.pts is None or exact.denominator != 1:
                raise MediaError(f"{video}: packet {number} has no time on a tick of the source")
            yield int(exact) + offset


def deviation(
    ticks: Sequence[int], time_base: Fraction, exact: Sequence[int], exact_base: Fraction
) -> tuple[Fraction, Fraction]:
    """Return how much later all of `ticks` is than `exact`, and the largest rest, in seconds."""
    if not ticks:
        return Fraction(0), Fraction(0)
    first = ticks[0] * time_base - exact[0] * exact_base
    shift = first if abs(first) > time_base else Fraction(0)
    # The distances from the first frame, compared as whole numbers of a common tick.
    unit = Fraction(1, lcm(time_base.denominator, exact_base.denominator))
    ours, theirs = int(time_base / unit), int(exact_base / unit)
    rests = array("q", (a * ours - b * theirs for a, b in zip(ticks, exact, strict=True)))
    return shift, max(abs(rest * unit - shift) for rest in (min(rests), max(rests)))
