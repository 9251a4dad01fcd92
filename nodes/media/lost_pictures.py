"""Which packets never became a picture."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

__all__ = ["LostPictures"]

_PICTURE_EACH: Final = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mjpeg", "prores"})
"""Codecs in which every packet with a time of its own is a picture, or one field of it. Others have
packets that are never shown."""

_FIELD: Final = 0.75
"""Of the distance of two pictures: less is between the fields of one."""


class LostPictures:
    """Compares the times of what goes into a decoder with those of what comes out.

    Decoders give pictures in the order in which they are shown. So once a picture is out, what went
    in before it and is to be shown earlier will not come any more.
    """

    def __init__(self, codec: str) -> None:
        """Begin.

        Args:
            codec: libav's name.
        """
        self.counts = codec in _PICTURE_EACH
        """Whether packets and pictures can be compared."""
        self._times = array("q")
        """Of what is lost so far."""
        self._waiting: dict[int, int] = {}
        """Times of packets without a picture -> their numbers."""
        self._after: dict[int, int] = {}
        """Times of packets that may begin a picture of two fields -> that of the next packet."""
        self._fed = 0
        self._last_fed: int | None = None
        self._last_shown: int | None = None
        self._step = 0

    def between(self, first_pts: int | None, end_pts: int | None) -> int:
        """Return how many pictures of `first_pts <= pts < end_pts` are lost so far."""
        return sum(
            (first_pts is None or pts >= first_pts) and (end_pts is None or pts < end_pts)
            for pts in self._times
        )

    def feed(self, pts: int | None) -> None:
        """Note a packet, in the order of decoding."""
        if not self.counts or pts is None:
            return
        if self._last_fed is not None:
            self._after[self._last_fed] = pts
        self._waiting[pts] = self._fed
        self._fed, self._last_fed = self._fed + 1, pts

    def show(self, pts: int | None, *, of_fields: bool) -> Iterator[int]:
        """Note a picture, and yield the times of those that are known to be lost.

        Args:
            pts: the picture's own.
            of_fields: whether it is interlaced, so that it may be two packets.
        """
        number = None if pts is None else self._waiting.pop(pts, None)
        if pts is None or number is None:
            # It is not known which packet this was: nothing is said of those that wait.
            self._waiting.clear()
            return
        if self._last_shown is not None and pts > self._last_shown:
            self._step = pts - self._last_shown
        self._drop_second_field(self._last_shown)
        second = self._after.get(pts) if of_fields else None
        self._after = {t: n for t, n in self._after.items() if t in self._waiting}
        if second is not None:
            self._after[pts] = second
        self._last_shown = pts
        gone = [time for time, fed in self._waiting.items() if fed < number and time < pts]
        for time in gone:
            del self._waiting[time]
        self._times.extend(gone)
        yield from sorted(gone)

    def end(self) -> Iterator[int]:
        """Yield what is lost once the decoder is empty."""
        self._drop_second_field(self._last_shown)
        self._times.extend(self._waiting)
        yield from sorted(self._waiting)
        self._waiting.clear()

    def _drop_second_field(self, first: int | None) -> None:
        second = None if first is None else self._after.pop(first, None)
        if first is not None and second is not None and 0 < second - first < _FIELD * self._step:
            self._waiting.pop(second, None)
