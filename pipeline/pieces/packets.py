"""The pieces of an output's video: encoded files, and stretches of the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.stream import Stream

from nodes.encode.writer import PTS_OFFSET_KEY
from nodes.errors import MediaError
from nodes.media.open import open_media, read_packets, ticks_of, video_stream
from nodes.types import VideoInfo
from pipeline.pieces.parameter_sets import Convert, JoinedHeader

__all__ = [
    "Copied",
    "Piece",
    "joined_header",
    "packet_times",
    "piece_clock",
    "piece_packets",
    "piece_times",
]


@dataclass(frozen=True, slots=True)
class Copied:
    """A stretch of the source that is copied packet for packet."""

    first_pts: int
    last_pts: int
    frames: int


Piece = Path | Copied
"""An encoded file, or a stretch of the source."""


def piece_times(pieces: Sequence[Piece], source: str, info: VideoInfo) -> Iterator[list[int]]:
    """Yield the presentation times of each piece's packets in decoding order, in source ticks.

    Raises:
        MediaError: a file cannot be read or has times between the source's ticks, or the source
            has another number of packets in a stretch.
    """
    stretches = _stretches(pieces, source)
    for piece in pieces:
        if isinstance(piece, Path):
            yield list(packet_times(piece, info))
        else:
            yield [packet.pts or 0 for packet in next(stretches)]


def piece_packets(
    pieces: Sequence[Piece], source: str, joined: JoinedHeader | None
) -> Iterator[Packet[Stream]]:
    """Yield the packets of all pieces in decoding order.

    Args:
        pieces: in order.
        source: path of the source.
        joined: the header of the output if it has pieces of both kinds.
    """
    stretches = _stretches(pieces, source)
    for piece in pieces:
        if isinstance(piece, Path):
            for packet in _file_packets(piece):
                yield packet if joined is None else _replaced(packet, joined.encoded)
        else:
            for packet in next(stretches):
                yield packet if joined is None else _replaced(packet, joined.copied)


def joined_header(pieces: Sequence[Piece], source: str) -> JoinedHeader | None:
    """Return the common header of copied and encoded pieces, None if all are of one kind."""
    files = [piece for piece in pieces if isinstance(piece, Path)]
    if not files or len(files) == len(pieces):
        return None
    with open_media(source) as original, open_media(str(files[0])) as encoded:
        context = video_stream(original, source).codec_context
        own = encoded.streams.video[0].codec_context.extradata
        return JoinedHeader(context.codec.canonical_name, context.extradata or b"", own or b"")


@dataclass(frozen=True, slots=True)
class PieceClock:
    """How times of an encoded file follow from those of the source."""

    ticks_per_tick: Fraction
    """Ticks of the source in one of the file."""
    offset_ticks: int
    """Ticks of the source at the file's time 0."""

    def ticks(self, pts: int) -> int:
        """Return the time in the file of a frame of the source."""
        return int((pts - self.offset_ticks) / self.ticks_per_tick)


def piece_clock(video: Path, info: VideoInfo) -> PieceClock:
    """Return the clock of an encoded file.

    Args:
        video: an encoded segment.
        info: the encoded video.

    Raises:
        MediaError: the file cannot be read.
    """
    with open_media(str(video)) as container:
        offset = int(container.metadata.get(PTS_OFFSET_KEY, "0"))
        factor = ticks_of(video_stream(container, str(video))) / info.time_base
        return PieceClock(factor, offset)


def packet_times(video: Path, info: VideoInfo) -> Iterator[int]:
    """Yield the presentation time of each packet in decoding order, in ticks of the source.

    Args:
        video: an encoded segment.
        info: the encoded video.

    Raises:
        MediaError: the file cannot be read, or has times between the source's ticks.
    """
    clock = piece_clock(video, info)
    for number, packet in enumerate(_file_packets(video)):
        exact = (packet.pts or 0) * clock.ticks_per_tick
        if packet.pts is None or exact.denominator != 1:
            raise MediaError(f"{video}: packet {number} has no time on a tick of the source")
        yield int(exact) + clock.offset_ticks


def _stretches(pieces: Sequence[Piece], source: str) -> Iterator[Iterator[Packet[Stream]]]:
    """Yield the packets of each copied stretch; each must be read before the next is taken.

    Raises:
        MediaError: the source has another number of packets in a stretch.
    """
    stretches = [piece for piece in pieces if isinstance(piece, Copied)]
    if not stretches:
        return
    with open_media(source) as container:
        packets = read_packets(container, video_stream(container, source))
        reader = _StretchReader((packet for packet in packets if packet.size), source)
        for stretch in stretches:
            yield reader.packets(stretch)


class _StretchReader:
    """Reads stretches of a source, one after another."""

    def __init__(self, packets: Iterator[Packet[Stream]], source: str) -> None:
        self._packets, self._source = packets, source
        self._next = next(packets, None)

    def packets(self, stretch: Copied) -> Iterator[Packet[Stream]]:
        count = 0
        while (packet := self._next) is not None:
            pts = packet.pts
            if pts is None or pts > stretch.last_pts:
                break
            self._next = next(self._packets, None)
            if pts >= stretch.first_pts:
                count += 1
                yield packet
        if count != stretch.frames:
            raise MediaError(
                f"{self._source}: {count} packets from {stretch.first_pts} to {stretch.last_pts},"
                f" expected one for each of {stretch.frames} frames"
            )


def _file_packets(file: Path) -> Iterator[Packet[Stream]]:
    with open_media(str(file)) as container:
        for packet in read_packets(container, video_stream(container, str(file))):
            if packet.size:
                yield packet


def _replaced(packet: Packet[Stream], convert: Convert) -> Packet[Stream]:
    """Return a packet with its payload converted; the same one if that changes nothing."""
    payload = bytes(packet)
    converted = convert(payload, is_keyframe=packet.is_keyframe)
    if converted == payload:
        return packet
    made: Packet[Stream] = Packet(converted)
    made.is_keyframe = packet.is_keyframe
    return made
