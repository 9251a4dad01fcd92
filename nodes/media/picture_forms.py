"""Finding the sizes and pixel formats that a video's pictures have, without decoding all of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Final

import av
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video import VideoStream
from av.video.codeccontext import VideoCodecContext

from nodes.media.open import clockwise_rotation_deg, open_media, read_packets, video_stream
from nodes.picture.vp9_sizes import given_sizes
from nodes.values import PictureForm

__all__ = ["FormScan", "picture_forms"]

_FILTERS: Final = {
    "h264": "h264_mp4toannexb,extract_extradata",
    "hevc": "hevc_mp4toannexb,extract_extradata",
    "vvc": "vvc_mp4toannexb,extract_extradata",
    "av1": "extract_extradata",
    "mpeg1video": "extract_extradata",
    "mpeg2video": "extract_extradata",
    "mpeg4": "extract_extradata",
    "vc1": "extract_extradata",
}
"""libav's filters that find the headers in packets, by codec."""

_PLAIN_HEADERS: Final = {"vp8": slice(6, 10), "vp9": slice(0, 10)}
"""Where a keyframe has its size, by codec."""

_START_OF_FRAME: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3})
"""JPEG's markers of the segment with the size."""

_MESSAGES: Final = {"h264": b"\0\0\1\x06", "hevc": b"\0\0\1\x4e\x01"}
"""How supplemental messages (SEI) begin, by codec."""

_ORIENTATION: Final = 47
"""Type of the message that a picture is to be turned."""

_SEARCHED_BYTES: Final = 4096
"""Messages come before the picture's own data."""


def picture_forms(source: str, video: int | None = None) -> tuple[PictureForm, ...]:
    """Read a file through; return the forms of its pictures if they change, else nothing.

    Args:
        source: path or URL.
        video: index of the video stream; None: the best one.

    Raises:
        MediaError: it cannot be opened, or has no video that can be decoded.
        NodeConfigError: there is no video stream with that index.
    """
    with open_media(source) as container:
        stream = video_stream(container, source, video)
        scan = FormScan(stream)
        # What cannot be read is told by those who decode it.
        with suppress(FFmpegError):
            for packet in read_packets(container, stream):
                scan.add(packet)
    return scan.changing


class FormScan:
    """Finds the forms of a stream's pictures: keyframes with another header are decoded.

    VP9 and AV1 may change the size at any picture. VP9's have it in their headers. AV1 announces
    the largest size: if the first picture has less, all are decoded.
    """

    def __init__(self, stream: VideoStream) -> None:
        """Begin.

        Args:
            stream: of an open source.
        """
        self._stream = stream
        context = stream.codec_context
        self._codec = context.codec.canonical_name
        self._announced_px = (context.width, context.height)
        self._known: set[bytes] = set()
        self._decoder: VideoCodecContext | None = None
        self._forms: dict[PictureForm, None] = {}
        chain = _FILTERS.get(self._codec)
        self._filter = BitStreamFilterContext(chain, stream) if chain else None

    @property
    def forms(self) -> tuple[PictureForm, ...]:
        """The forms so far, in the order of their first pictures."""
        return tuple(self._forms)

    @property
    def changing(self) -> tuple[PictureForm, ...]:
        """The same if there is more than one, else nothing."""
        return self.forms if len(self._forms) > 1 else ()

    def add(self, packet: Packet[Stream]) -> None:
        """Look at a packet of the stream. It is not changed."""
        if not packet.size:
            return
        if self._decoder is not None:
            self._note(_pictures(self._decoder, [Packet(bytes(packet))]))
            return
        if not packet.is_keyframe:
            if self._codec == "vp9":
                self._add_sizes(given_sizes(bytes(packet)))
            return
        header = self._header(packet)
        if header is None or header in self._known:
            return
        self._known.add(header)
        copy = Packet(bytes(packet))
        if packet.has_sidedata("new_extradata"):
            copy.set_sidedata(packet.get_sidedata("new_extradata"))
        self._note(_pictures(self._made_decoder(), [copy, None]))
        if self._codec == "av1" and self._forms and self._is_less_than_announced():
            self._decoder = self._made_decoder()
            _pictures(self._decoder, [Packet(bytes(packet))])

    def _is_less_than_announced(self) -> bool:
        form, (width_px, height_px) = next(iter(self._forms)), self._announced_px
        return form.width_px < width_px or form.height_px < height_px

    def _note(self, forms: Iterable[PictureForm]) -> None:
        self._forms.update(dict.fromkeys(forms))

    def _add_sizes(self, sizes_px: Iterable[tuple[int, int]]) -> None:
        """Note sizes of pictures that are else like the latest one."""
        for width_px, height_px in sizes_px:
            if self._forms:
                latest = next(reversed(self._forms))
                self._note([replace(latest, width_px=width_px, height_px=height_px)])

    def _header(self, packet: Packet[Stream]) -> bytes | None:
        """Return what says the size and format of a keyframe, None if that is not known."""
        content = memoryview(packet)
        if self._codec in _PLAIN_HEADERS:
            return bytes(content[_PLAIN_HEADERS[self._codec]])
        if self._codec == "mjpeg":
            return _start_of_frame(bytes(content[: 16 * _SEARCHED_BYTES]))
        if self._filter is None:
            return b"" if not self._known else None
        try:
            (filtered,) = self._filter.filter(Packet(bytes(content)))
        except (FFmpegError, ValueError):
            return None
        header = b""
        if filtered.has_sidedata("new_extradata"):
            header = bytes(filtered.get_sidedata("new_extradata"))
        mark = _MESSAGES.get(self._codec)
        if mark is not None:
            header += _orientation(bytes(memoryview(filtered)[:_SEARCHED_BYTES]), mark)
        return header

    def _made_decoder(self) -> VideoCodecContext:
        context = self._stream.codec_context
        decoder = av.CodecContext.create(context.codec.name, "r")
        assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - for the type checker
        decoder.thread_count = 1
        if context.extradata:
            decoder.extradata = context.extradata
        return decoder


def _pictures(
    decoder: VideoCodecContext, packets: Iterable[Packet[Stream] | None]
) -> list[PictureForm]:
    """Decode packets, with None to the end; return the forms of the pictures."""
    try:
        pictures = [picture for packet in packets for picture in decoder.decode(packet)]
    except FFmpegError:
        return []
    ratio = decoder.sample_aspect_ratio or Fraction(1)
    return [
        PictureForm(p.width, p.height, p.format.name, ratio, clockwise_rotation_deg(p))
        for p in pictures
    ]


def _orientation(content: bytes, mark: bytes) -> bytes:
    """Return the message that a picture is to be turned, empty if there is none."""
    start = content.find(mark)
    while start >= 0:
        at = start + len(mark)
        end = content.find(b"\0\0\1", at)
        messages = content[at : end if end >= 0 else None].replace(b"\0\0\3", b"\0\0")
        at = 0
        while at + 2 <= len(messages):
            kind, at = _long_number(messages, at)
            size, at = _long_number(messages, at)
            if kind == _ORIENTATION:
                return messages[at : at + size]
            at += size
        start = content.find(mark, start + 1)
    return b""


def _long_number(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of which each byte but the last is 255; return it and the place behind it."""
    number = 0
    while at < len(content) and content[at] == 0xFF:
        number, at = number + 0xFF, at + 1
    return number + (content[at] if at < len(content) else 0), at + 1


def _start_of_frame(content: bytes) -> bytes | None:
    """Return the segment of a JPEG that has the size."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] in _START_OF_FRAME:
            return content[at : at + 2 + length]
        at += 2 + length
    return None
