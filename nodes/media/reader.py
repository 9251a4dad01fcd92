"""Decoding the pictures of a file, robust against damage and inexact seeks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain

import av
from av.container import InputContainer
from av.error import EOFError as AvEOFError
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Stream
from av.video import VideoStream

from nodes.media.container_facts import container_facts
from nodes.media.live import LivePackets
from nodes.media.lost_pictures import LostPictures
from nodes.media.open import (
    frame_step_ticks,
    open_media,
    read_packets,
    stores_times,
    tagged_end_s,
    ticks_of,
    video_stream,
)
from nodes.media.picture_files import is_cut_jpeg
from nodes.picture.filters import PictureFilter
from nodes.picture.png_chunks import sound_packet

__all__ = ["UNDECODED", "DamageHandler", "PacketHandler", "PictureReader", "first_picture"]

DamageHandler = Callable[[str, int | None], None]
"""Called with a description of the damage, and the nearest pts in stream ticks, if known."""

PacketHandler = Callable[["Packet[Stream]"], None]
"""Called with packets of streams that are not decoded."""

SEEK_BACK_S = (0.0, 2.0, 4.0, 8.0)
"""How far before the wanted time to seek, s, in this order, before reading from the start."""

MAX_READ_ERRORS = 8
"""Read errors in a row after which a file counts as ended."""


UNDECODED = "picture could not be decoded"
"""Damage whose time is exact: with threads, an error of a decoder comes some packets late."""


def _unheard(_what: str, _pts: int | None) -> None:
    """Default handler, which ignores damage."""


class PictureReader:
    """The decoded pictures of one video stream of a file, in presentation order.

    Pictures have the source's own pts in the stream's time base, which may be missing or wrong.
    """

    def __init__(
        self,
        source: str,
        threads: int,
        on_damage: DamageHandler = _unheard,
        on_other: PacketHandler | None = None,
        live_until: threading.Event | None = None,
        video: int | None = None,
    ) -> None:
        """Open `source`.

        Args:
            source: path or URL.
            threads: CPU threads to decode with.
            on_damage: called for each packet that cannot be read or decoded.
            on_other: called with the packets of all other streams, for a source that can be read
                only once; None does not read them.
            live_until: set it to end a live source; None for other sources.
            video: index of the video stream; None: the best one.

        Raises:
            MediaError: the source cannot be opened, or has no video that can be decoded.
            NodeConfigError: there is no video stream with that index.
        """
        self._source, self._video = source, video
        self._threads = threads
        self._on_damage = on_damage
        self._on_other = on_other
        self._live_until = live_until
        self._live: LivePackets | None = None
        self.decoder = "software"
        """What decodes: `software`, or the kind of a device."""
        self.why_software: str | None = None
        """Why the software decoder decodes all or the rest, if a device was to do so."""
        self.ended_early = False
        """Whether reading ended with an error, with an incomplete packet, or before the end given
        in the container's header."""
        self._open()

    def _open(self) -> None:
        self.container = self._opened()
        try:
            self.stream: VideoStream = video_stream(self.container, self._source, self._video)
        except BaseException:
            self.container.close()
            raise
        for other in self.container.streams:
            if other is not self.stream and self._on_other is None:
                other.discard = Discard.all
        self._wanted = [self.stream] if self._on_other is None else list(self.container.streams)
        self.stream.codec_context.thread_count = self._threads
        # Frame threads would delay each picture until later ones are decoded.
        self.stream.thread_type = "AUTO" if self._live_until is None else "SLICE"
        self.time_base = ticks_of(self.stream)
        # AVI stores no presentation times; with reordered pictures libav's times are in decoding
        # order.
        self._pts_from_dts = (
            self.container.format.name == "avi" and self.stream.codec_context.reorder_depth > 0
        )
        self.stores_times = stores_times(self.container.format.name)
        """False for raw streams: what libav makes of their times is at the rate that it guesses."""
        self.facts = container_facts(self.stream)
        """What the container says of the stream."""
        # Cameras' MJPEG may lack the mark of a picture's end.
        self._holds_jpegs = self.container.format.name in ("jpeg_pipe", "image2")
        self._holds_pngs = self.stream.codec_context.name in ("png", "apng")
        self._crops: dict[tuple[int, int, str], PictureFilter] = {}
        self._lost = LostPictures(self._counted_codec())
        self._packets: Iterator[Packet[Stream]] = self._demux()
        self._last_pts: int | None = None
        self._last_duration = 0
        self._packets_read: int | None = 0
        self.repeats = 0
        """Number of announced pictures that are the one before once more: AVI's empty chunks."""
        self._at_end = False
        self._landed: Iterator[av.VideoFrame] | None = None

    def _opened(self) -> InputContainer:
        return open_media(self._source)

    def _counted_codec(self) -> str:
        """Return the codec, or nothing where packets and pictures have no times in common."""
        timed = self.stores_times and not self._pts_from_dts and self._live_until is None
        return self.stream.codec_context.codec.canonical_name if timed else ""

    def close(self) -> None:
        """Close the file and free the decoder; may be called again.

        This also breaks reference cycles with generators and handlers. Otherwise decoder, threads
        and pictures, about 80 MB for 1080p, would be kept until Python's garbage collection.
        """
        self._close_file()
        self._on_damage = _unheard

    def _close_file(self) -> None:
        if self._live is None or self._live.close():
            self.container.close()
        self._packets, self._landed = iter(()), None

    @property
    def counts_lost(self) -> bool:
        """Whether pictures that could not be decoded are told of one by one."""
        return self._lost.counts

    def lost(self, first_pts: int | None = None, end_pts: int | None = None) -> int:
        """Return how many pictures of `first_pts <= pts < end_pts` could not be decoded.

        Pictures that the container announces and does not have are included once the file was read
        from its start to its end.
        """
        read = self._packets_read if self._at_end else None
        unread = 0 if read is None else max(0, self.stream.frames - read)
        return unread + self._lost.between(first_pts, end_pts)

    @property
    def sample_aspect_ratio(self) -> Fraction:
        """Width over height of a pixel of the latest picture, by its codec; 1 if that says none."""
        return self.stream.codec_context.sample_aspect_ratio or Fraction(1)

    @property
    def delay_s(self) -> float:
        """Age of the last packet that was read from a live source, s; 0 for other sources."""
        return 0.0 if self._live is None else time.monotonic() - self._live.arrived_s

    def _read_packets(self) -> Iterable[Packet[Stream]]:
        packets = read_packets(self.container, *self._wanted)
        if self._live_until is None:
            return packets
        self._live = LivePackets(packets, self._live_until)
        return self._live

    def reopen(self) -> None:
        """Start again at the beginning, which a seek does not reach in all formats."""
        self._close_file()
        self._open()

    def seek(self, pts: int) -> None:
        """Seek to a position from which the picture at `pts` can be decoded, and verify it.

        Demuxers without an index may land after the wanted time or between keyframes, and a packet
        that is marked as a keyframe may only start a gradual refresh. If no position works, reading
        starts at the beginning.
        """
        for back_s in () if self._pts_from_dts else SEEK_BACK_S:
            if self._lands_before(pts, int(back_s / self.time_base)):
                return
        self.reopen()

    def _lands_before(self, pts: int, back_ticks: int) -> bool:
        try:
            self.container.seek(pts - back_ticks, stream=self.stream)
        except FFmpegError:
            return False
        self._packets_read = None  # counts only what was read from the beginning
        packets = self._demux()
        for packet in packets:
            if packet.is_keyframe:
                if packet.pts is None or packet.pts > pts:
                    return False
                self._packets = chain([packet], packets)
                self._last_pts = None
                self._lost = LostPictures(self._counted_codec())
                return self._begins_before(pts)
        return False

    def _begins_before(self, pts: int) -> bool:
        pictures = self._decoded()
        first = next(pictures, None)
        if first is None or first.pts is None or first.pts > pts:
            return False
        self._landed = chain([first], pictures)
        return True

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Yield all pictures from the current position to the end."""
        pictures, self._landed = self._landed or self._decoded(), None
        return pictures

    def _decoded(self) -> Iterator[av.VideoFrame]:
        waiting = 0
        first_dts: int | None = None
        for packet in self._packets:
            waiting += not packet.is_discard
            # An incomplete packet means a truncated file only if no complete one follows.
            self.ended_early = packet.is_corrupt
            self._note_incomplete(packet)
            if not packet.is_discard:
                self._lost.feed(packet.pts)
            for picture in self._decode(packet):
                waiting -= 1
                if self._pts_from_dts:
                    dts = picture.dts
                    first_dts = dts if first_dts is None else first_dts
                    picture.pts = None if dts is None or first_dts is None else dts - first_dts
                yield self._seen(picture)
        for picture in self._decode(None):
            waiting -= 1
            if self._pts_from_dts:
                picture.pts = None
            yield self._seen(picture)
        if waiting > 0 and self._threads > 1:
            yield from self._lost_tail()
        for pts in self._lost.end():
            self._on_damage(UNDECODED, pts)
        self._at_end = True
        self.ended_early |= self._stops_short()

    def _note_incomplete(self, packet: Packet[Stream]) -> None:
        if packet.is_corrupt:
            self._on_damage("packet incomplete or damaged", packet.pts)
        elif self._holds_jpegs and is_cut_jpeg(bytes(packet)):
            self._on_damage("picture cut off", packet.pts)

    def _stops_short(self) -> bool:
        if self._packets_read is not None and self._packets_read < self.stream.frames:
            return True
        end_s = tagged_end_s(self.stream)
        if end_s is None or self._last_pts is None:
            return False
        step = frame_step_ticks(self.stream)
        return (self._last_pts + max(self._last_duration, step) + step) * self.time_base < end_s

    def _seen(self, picture: av.VideoFrame) -> av.VideoFrame:
        if not self.stores_times:
            picture.pts = None
        for pts in self._lost.show(picture.pts, of_fields=picture.interlaced_frame):
            self._on_damage(UNDECODED, pts)
        if picture.pts is not None:
            self._last_pts, self._last_duration = picture.pts, picture.duration
        return self._cropped(picture) if any(self.facts.crop_px) else picture

    def _cropped(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return the part of a picture that players show."""
        top, bottom, left, right = self.facts.crop_px
        width_px, height_px = picture.width - left - right, picture.height - top - bottom
        if width_px <= 0 or height_px <= 0:
            return picture
        key = (picture.width, picture.height, picture.format.name)
        if key not in self._crops:
            crop = f"{width_px}:{height_px}:{left}:{top}"
            self._crops[key] = PictureFilter(
                picture, self.time_base, lambda graph: [graph.add("crop", crop)]
            )
        (shown,) = self._crops[key].push(picture)
        # Planes that begin inside of others' memory are not what nodes expect.
        shown.make_writable()
        return shown

    def _demux(self) -> Iterator[Packet[Stream]]:
        """Yield the stream's packets, continuing after read errors."""
        errors = 0
        while errors < MAX_READ_ERRORS:
            try:
                for packet in self._read_packets():
                    if self._on_other is not None and packet.stream_index != self.stream.index:
                        self._on_other(packet)
                        continue
                    if self._packets_read is not None:
                        self._skip_repeats(packet)
                        self._packets_read += 1
                    # An empty packet would flush the decoder.
                    if packet.size:
                        errors = 0
                        yield packet
                break
            except FFmpegError as error:
                errors += 1
                if errors == 1:
                    self._on_damage(f"cannot read: {error.strerror}", self._last_pts)
        self.ended_early |= errors > 0

    def _skip_repeats(self, packet: Packet[Stream]) -> None:
        """Count the pictures of an AVI, whose times are their numbers, that are empty chunks."""
        if self.container.format.name != "avi" or packet.dts is None or self._packets_read is None:
            return
        self.repeats += max(0, packet.dts - self._packets_read)
        self._packets_read = max(self._packets_read, packet.dts)

    def _decode(self, packet: Packet[Stream] | None) -> list[av.VideoFrame]:
        try:
            if packet is not None and self._holds_pngs:
                packet = sound_packet(packet) or packet
            return self.stream.codec_context.decode(packet)
        except AvEOFError:
            return []
        except FFmpegError as error:
            pts = self._last_pts if packet is None else packet.pts
            self._on_damage(f"cannot decode: {error.strerror}", pts)
            return []

    def _lost_tail(self) -> Iterator[av.VideoFrame]:
        """Yield the last pictures, if an error of a frame-threaded decoder has hidden them.

        If such a decoder fails while it is flushed, PyAV cannot get the pictures after the error.
        They are decoded again with one thread.
        """
        last = self._last_pts
        if last is None or self._pts_from_dts or self._on_other is not None:
            return

        def relay(what: str, pts: int | None) -> None:
            # What is lost is told at the end, by what of these pictures was seen here.
            if what != UNDECODED and (pts is None or pts > last):
                self._on_damage(what, pts)

        single = PictureReader(self._source, 1, relay, video=self._video)
        try:
            single.seek(last)
            for picture in single.pictures():
                if picture.pts is not None and picture.pts > last:
                    yield self._seen(picture)
        finally:
            single.close()


@contextmanager
def first_picture(
    source: str, video: int | None = None
) -> Generator[tuple[PictureReader, av.VideoFrame | None]]:
    """Decode the first picture of a file.

    Args:
        source: path or URL.
        video: index of the video stream; None: the best one.

    Yields:
        The reader, and the picture; None if no picture can be decoded.

    Raises:
        MediaError: the source cannot be opened, or has no video that can be decoded.
    """
    reader = PictureReader(source, 1, video=video)
    try:
        yield reader, next(reader.pictures(), None)
    finally:
        reader.close()
