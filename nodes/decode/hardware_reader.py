"""A reader of pictures that a graphics card decodes, as long as they are the software decoder's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from nodes.decode.hardware import HardwareError, HardwareKind, Rearranger, card_for, differing
from nodes.errors import MediaError
from nodes.media.open import open_media, video_stream
from nodes.media.reader import DamageHandler, PictureReader

__all__ = ["HardwareReader"]

_COMPARED = 3
"""Pictures at the start that have to be those of the software decoder: with B-frames, one of each
kind."""


class HardwareReader(PictureReader):
    """Reads pictures as `PictureReader` does, decoded by a graphics card if there is one.

    The first pictures are compared with the software decoder's. If one differs, or if anything is
    damaged later, the software decoder decodes the rest.
    """

    def __init__(
        self,
        source: str,
        threads: int,
        on_damage: DamageHandler,
        video: int | None,
        kind: HardwareKind,
    ) -> None:
        """Open `source`.

        Args:
            source: path or URL of what can be read again.
            threads: CPU threads for the software decoder.
            on_damage: called for each packet that cannot be read or decoded.
            video: index of the video stream; None: the best one.
            kind: of the device, not `off`.

        Raises:
            MediaError: the source cannot be opened, or has no video that can be decoded.
            NodeConfigError: there is no video stream with that index.
        """
        self._kind: HardwareKind = kind
        self._tell = on_damage
        self._rearranger: Rearranger | None = None
        self._sought: int | None = None
        super().__init__(source, threads, self._note_damage, video=video)

    def _opened(self) -> InputContainer:
        container = open_media(self._source)
        if self.why_software is not None:
            return container
        try:
            codec = video_stream(container, self._source, self._video).codec_context.codec
            card = card_for(self._kind, codec)
            by_card = open_media(self._source, hwaccel=HWAccel(card, allow_software_fallback=False))
        except (HardwareError, MediaError, RuntimeError) as error:  # PyAV: no stream for the device
            self._give_up(error)
            return container
        except BaseException:
            container.close()
            raise
        container.close()
        self.decoder = card
        return by_card

    def _open(self) -> None:
        super()._open()
        if self._by_card:
            # More threads would only keep more pictures on the card.
            self.stream.codec_context.thread_count = 1

    @property
    def _by_card(self) -> bool:
        return self.why_software is None

    def _give_up(self, why: Exception) -> None:
        self.decoder, self.why_software = "software", str(why)

    def _note_damage(self, what: str, pts: int | None) -> None:
        if self._by_card:
            # Each decoder patches damage in its own way, and only one of them tells all of it.
            raise HardwareError(what)
        self._tell(what, pts)

    def seek(self, pts: int) -> None:
        """See `PictureReader`."""
        self._sought = pts
        try:
            super().seek(pts)
        except HardwareError as error:  # it reads packets, to see where it came
            self._give_up(error)
            self.reopen()
            super().seek(pts)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        if not self._by_card:
            yield from super()._decoded()
            return
        shown, last_pts = 0, None
        try:
            for picture in self._compared() if self._sought is None else super()._decoded():
                shown, last_pts = shown + 1, picture.pts
                yield picture
        except HardwareError as error:
            self._give_up(error)
            yield from self._without_card(shown, last_pts)

    def _without_card(self, shown: int, last_pts: int | None) -> Iterator[av.VideoFrame]:
        """Yield the pictures from the last position on, but not those that were shown."""
        sought = self._sought
        self.reopen()
        if sought is not None:
            self.seek(sought)
        pictures = self.pictures()
        known = deque(islice(pictures, shown), maxlen=1)
        if known and known[0].pts != last_pts:
            raise MediaError(
                f"{self._source}: decoders disagree on which pictures there are; use"
                " decode.hardware=off"
            )
        yield from pictures

    def _compared(self) -> Iterator[av.VideoFrame]:
        """Decode from the start, and compare the first pictures."""
        with closing(PictureReader(self._source, 1, video=self._video)) as software:
            expected = list(islice(software.pictures(), _COMPARED))
        self._rearranger = Rearranger(expected[0]) if expected else None
        pictures = super()._decoded()
        for known in expected:
            picture = next(pictures, None)
            what = "number" if picture is None else differing(picture, known)
            if picture is None or what is not None:
                raise HardwareError(f"its pictures are not the software decoder's: other {what}")
            yield picture
        yield from pictures

    def _decode(self, packet: Packet[Stream] | None) -> list[av.VideoFrame]:
        made = super()._decode(packet)
        if not self._by_card or not made:
            return made
        if self._rearranger is None:
            raise HardwareError("no picture to compare with")
        return [self._rearranger.rearranged(picture) for picture in made]

    def close(self) -> None:
        """See `PictureReader`."""
        super().close()
        self._tell, self._rearranger = self._on_damage, None
