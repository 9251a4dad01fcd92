"""Copying, converting or leaving out the streams of a source other than its video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video import VideoStream

from nodes.media.open import codec_name, open_media
from nodes.reports import counted
from pipeline.containers.convert import StreamConverter
from pipeline.containers.holding import copy_stream, is_cover
from pipeline.containers.packet_clock import PacketClock, Written
from pipeline.containers.stream_plan import StreamPolicy, check_conversions, plan_stream

__all__ = ["CopiedStream", "OtherStreams"]

_EMPTY_TEXT: Final = b"\0\0"
"""An empty sample of MP4's timed text."""

_COMPARED: Final = frozenset({"audio", "video"})
"""Stream types whose packets are compared one by one with the finished file."""


OFF_S: Final = 0.002
"""Deviation that is reported, s: more than the resolution of Matroska, the coarsest one."""


@dataclass(frozen=True, slots=True)
class CopiedStream:
    """A stream of the source in the output."""

    source_index: int
    target_index: int
    kind: str
    codec: str
    converted_to: str | None = None
    """The encoder it went through, None for a copy packet for packet."""
    packets: int = 0
    retimed_packets: int = 0
    """Packets whose decoding time did not increase in the source and was changed."""
    lost_packets: int = 0
    """Packets that are missing in the finished file."""
    max_deviation_s: float = 0.0
    """Largest deviation of a packet's time in the finished file, s."""

    @property
    def notes(self) -> list[str]:
        """Messages for the user."""
        name, lines = f"{self.kind} stream {self.source_index} ({self.codec})", list[str]()
        if self.retimed_packets:
            times = counted(self.retimed_packets, "time")
            lines.append(f"{name}: {times} went back or stood still: moved up")
        if self.lost_packets:
            lines.append(f"{name}: lost {self.lost_packets} of {counted(self.packets, 'packet')}")
        if self.max_deviation_s > OFF_S:
            lines.append(f"{name}: up to {self.max_deviation_s:.3f} s from where it belongs")
        return lines


class OtherStreams:
    """Writes the other streams of a source to an output."""

    def __init__(
        self,
        original: InputContainer,
        video: VideoStream,
        output: OutputContainer,
        container: str,
        policy: StreamPolicy,
        *,
        source: str | None = None,
    ) -> None:
        """Decide what to do with each stream.

        Args:
            original: the open source.
            video: the video stream of the source.
            output: the output, before its header is written.
            container: libav's name of the output's muxer.
            policy: what is wanted of these streams.
            source: path or URL of the source, None if it can be read only once.

        Raises:
            NodeConfigError: a stream to convert does not exist or cannot be converted.
        """
        self._original, self._video, self._output = original, video, output
        self._container, self._policy, self._source = container, policy, source
        self._converters: dict[int, StreamConverter] = {}
        self._copies: dict[int, Stream] = {}
        self._copied: dict[int, CopiedStream] = {}
        self._packets: Counter[int] = Counter()
        self._clocks: dict[int, PacketClock] = {}
        self.read: list[Stream] = []
        """The streams of the source whose packets are needed."""
        self.left_out: list[str] = []
        """What the container cannot hold of the source, one stream each."""
        self.converted: list[str] = []
        """What was converted though nobody asked for it, and why, one stream each."""
        self._may_repeat = bool(output.format.flags & Flags.ts_nonstrict.value)
        others = [stream for stream in original.streams if stream is not video]
        check_conversions(others, policy.convert, container)

    def add_streams(self, add_video: Callable[[], VideoStream]) -> VideoStream:
        """Make the output's streams, in the source's order.

        Args:
            add_video: adds the restored video to the output and returns its stream.

        Raises:
            ValueError: the container does not support a codec.
            FFmpegError: an encoder refuses the stream's sample rate or channels.
        """
        restored: VideoStream | None = None
        for stream in self._original.streams:
            if stream is self._video:
                restored = add_video()
            else:
                self._add(stream)
        assert restored is not None  # noqa: S101 - the video is one of the container's streams
        return restored

    def _add(self, stream: Stream) -> None:
        plan = plan_stream(stream, self._container, self._policy)
        if plan.action == "copy":
            self._copies[stream.index] = copy = self._copy_of(stream)
            self._note(stream, copy, None)
        elif plan.codec is not None:
            converter = StreamConverter(self._output, stream, plan.codec)
            self._converters[stream.index] = converter
            self._note(stream, converter.stream, plan.codec)
            if not plan.asked:
                self.converted.append(f"{plan.why}: converted to {plan.codec}")
        else:
            if plan.action == "leave_out":
                what = f"stream {stream.index}, {stream.type} {codec_name(stream)}"
                self.left_out.append(what)
            stream.discard = Discard.all

    def _copy_of(self, stream: Stream) -> Stream:
        if self._source is not None and is_cover(stream) and self._container == "matroska":
            return _attach_cover(self._output, stream, self._source)
        return copy_stream(self._output, stream)

    def _note(self, stream: Stream, made: Stream, codec: str | None) -> None:
        self._copied[stream.index] = CopiedStream(
            stream.index, made.index, stream.type, codec_name(stream), converted_to=codec
        )
        if not isinstance(made, AttachmentStream):
            self.read.append(stream)

    def write(self, packet: Packet[Stream]) -> None:
        """Copy or convert a packet of the source; ignore it if the stream is left out."""
        index = packet.stream_index
        if not packet.size or self._is_gap(packet):
            return
        if index in self._converters:
            self._packets[index] += 1
            self._convert(index, packet)
            return
        copy = self._copies.get(index)
        if copy is None or isinstance(copy, AttachmentStream):
            return
        self._packets[index] += 1
        if index not in self._clocks:
            tick = copy.time_base or packet.time_base
            self._clocks[index] = PacketClock(tick, may_repeat=self._may_repeat)
        clock = self._clocks[index]
        clock.place(packet)
        packet.stream = copy
        self._output.mux(packet)

    def finish(self) -> None:
        """Flush the converted streams."""
        for index in self._converters:
            self._convert(index, None)

    def _convert(self, index: int, packet: Packet[Stream] | None) -> None:
        # One by one: silence in the place of hours would be too much at once.
        for made in self._converters[index].packets(packet):
            self._output.mux(made)

    @property
    def copied(self) -> tuple[CopiedStream, ...]:
        """The streams in the output, with the packets so far."""
        return tuple(
            replace(
                copy,
                packets=self._packets[index],
                retimed_packets=self._clocks[index].moved if index in self._clocks else 0,
            )
            for index, copy in self._copied.items()
        )

    def compared(self, written: Mapping[int, Written]) -> tuple[CopiedStream, ...]:
        """Return the streams in the output, compared with the finished file.

        Args:
            written: the packets of each stream in the finished file, with their times shifted like
                the video.
        """
        found: list[CopiedStream] = []
        for copy in self.copied:
            clock = self._clocks.get(copy.source_index)
            if clock is None or copy.kind not in _COMPARED:
                found.append(copy)
                continue
            there = written.get(copy.target_index, Written())
            lost, off_s = clock.compared(there)
            if is_cover(self._copies[copy.source_index]):
                off_s = 0.0  # it has no time
            found.append(replace(copy, lost_packets=lost, max_deviation_s=off_s))
        return tuple(found)

    def _is_gap(self, packet: Packet[Stream]) -> bool:
        """Return whether a packet is an empty text between two others, which muxers create."""
        is_timed_text = self._container in ("mp4", "mov") and packet.size == len(_EMPTY_TEXT)
        return is_timed_text and bytes(packet) == _EMPTY_TEXT and packet.stream.type == "subtitle"


def _attach_cover(output: OutputContainer, stream: Stream, source: str) -> Stream:
    """Add a cover to a Matroska file, as an attachment."""
    with open_media(source) as container:
        packets = container.demux(container.streams[stream.index])
        content = next((bytes(packet) for packet in packets if packet.size), b"")
    kind = "png" if codec_name(stream) == "png" else "jpeg"
    name = stream.metadata.get("filename", f"cover.{kind}")
    return output.add_attachment(name, f"image/{kind}", content)
