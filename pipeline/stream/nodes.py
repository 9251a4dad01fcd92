"""Pipes and live sources: read once, written as it comes, with the other streams alongside.

The source cannot be opened twice, so nothing is looked at beforehand: a stream of the source that
the output cannot hold is left out with a warning. The encoder works without reordering and without
looking ahead, so that a frame leaves as soon as it is done. An interrupt ends the source, and what
was taken by then is finished as if the source had ended.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video import VideoStream

from nodes.decode import Decode, DecodeConfig
from nodes.encode import Encode
from nodes.encode.encoders import EncodeConfig, EncoderPlan
from nodes.encode.node import Writer
from nodes.errors import NodeConfigError
from nodes.media.open import codec_name, video_stream
from nodes.node import Outputs, Segment
from nodes.types import VideoInfo
from pipeline.containers.convert import StreamConverter, converts
from pipeline.containers.formats import HOLDS, copy_stream, fits

__all__ = ["StreamDecode", "StreamEncode"]

log = logging.getLogger(__name__)

_SAME_FORMAT: Final = {
    "matroska,webm": "matroska",
    "nut": "nut",
    "yuv4mpegpipe": "yuv4mpegpipe",
    "mpegts": "mpegts",
}
"""Demuxer -> muxer, of what can be written to a pipe; everything else becomes Matroska."""

_AT_ONCE: Final = {"libx264": {"tune": "zerolatency"}, "libx265": {"tune": "zerolatency"}}
"""What makes an encoder give each picture back before it gets the next."""

_RAW: Final = frozenset({"rawvideo", "wrapped_avframe"})


class StreamDecode(Decode):
    """Reads a source once, and can be told to end.

    Frames of a live source that come late, since the work takes longer than the source lasts, are
    left out and counted: what comes out is never more than so much behind.
    """

    def __init__(
        self, config: DecodeConfig, *, live: bool = False, max_latency_s: float | None = None
    ) -> None:
        """Take a configuration.

        Args:
            config: which part is wanted.
            live: whether the source goes on whether or not it is read.
            max_latency_s: frames of a live source that have waited for longer are left out.
        """
        super().__init__(config)
        self._stop = threading.Event()
        self.live_until = self._stop if live else None
        self._max_latency_s = max_latency_s
        self._late = 0

    def stop(self) -> None:
        """End after the current frame, as if the source had ended. From any thread."""
        self._stop.set()

    def packets(self) -> Iterator[Outputs]:
        """Yield the frames until the source ends or `stop` is called."""
        for outputs in super().packets():
            if self._stop.is_set():
                return
            if self._max_latency_s is not None and self.delay_s > self._max_latency_s:
                self._late += 1
                continue
            yield outputs

    def report(self) -> dict[str, Any]:
        """Return the source's report, with the frames that were left out as too late."""
        report = super().report()
        if not self._late:
            return report
        warning = (
            f"{self._late} frames were left out to stay within {self._max_latency_s:g} s of the"
            " source (run.max_latency_s)"
        )
        return {**report, "late": self._late, "warnings": [*report.get("warnings", ()), warning]}


class StreamEncode(Encode):
    """Writes the restored video and the source's other streams as they come."""

    def __init__(
        self, config: EncodeConfig, source: StreamDecode, target: str, container: str | None
    ) -> None:
        """Join the two ends of a stream.

        Args:
            config: the encoder.
            source: where the other streams' packets come from; opened before this node.
            target: a path, or `pipe:` and a file descriptor.
            container: libav's name of the muxer; None takes the source's where that can be written
                to a pipe.
        """
        super().__init__(config)
        self._source, self._target, self._container = source, target, container
        self._early: deque[Packet[Stream]] = deque()
        self._stream_writer: _StreamWriter | None = None
        source.on_other = self._pass_on

    def _pass_on(self, packet: Packet[Stream]) -> None:
        # The first packets come while the source is being opened, before there is an output.
        if self._stream_writer is None:
            self._early.append(packet)
        else:
            self._stream_writer.copy(packet)

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Open the encoder, and start the output.

        Raises:
            NodeConfigError: the encoder is unknown, or the container cannot hold what it makes.
            UnsupportedFormatError: the encoder cannot hold the pixel format.
            MediaError: the output cannot be written.
        """
        (info,) = inputs.values()
        # Raw pictures in a pipe stay raw: whoever made them raw wants to encode them.
        if self._config.codec == "auto" and info.codec_name in _RAW:
            self._config = self._config.model_copy(update={"codec": "rawvideo"})
        return super().open(segment, inputs)

    def make_writer(self, segment: Segment, plan: EncoderPlan, info: VideoInfo) -> Writer:
        """Start the output.

        Raises:
            NodeConfigError: the container cannot hold the video's codec.
        """
        container = self._container or _SAME_FORMAT.get(
            self._source.container.format.name, "matroska"
        )
        held = _RAW if container == "yuv4mpegpipe" else HOLDS.get(container, frozenset()) | _RAW
        if plan.codec_name not in held:
            raise NodeConfigError(
                f"a stream of {container} cannot hold {plan.codec_name} video; set encode.codec"
                " (rawvideo for y4m), or give the output a name ending in .mkv"
            )
        writer = _StreamWriter(
            self._target,
            plan,
            info,
            segment.threads,
            self._source,
            container,
            self._config.convert,
        )
        self._stream_writer = writer
        while self._early:
            writer.copy(self._early.popleft())
        return writer


class _StreamWriter(Writer):
    """An output that is never gone back to."""

    def __init__(
        self,
        target: str,
        plan: EncoderPlan,
        info: VideoInfo,
        threads: int,
        source: StreamDecode,
        container: str,
        convert: Mapping[int, str],
    ) -> None:
        self._convert = convert
        self._converters: dict[int, StreamConverter] = {}
        self._target, self._muxer, self._original = target, container, source.container
        self._copies: dict[int, Stream] = {}
        self._last_dts: dict[int, int] = {}
        self._lock = threading.Lock()
        options = dict(plan.options)
        for key, value in _AT_ONCE.get(plan.encoder, {}).items():
            options.setdefault(key, value)
        at_once = EncoderPlan(
            plan.encoder, plan.codec_name, plan.pix_fmt, options, plan.bitrate_bps
        )
        super().__init__(Path(target), at_once, info, threads)
        self._container.start_encoding()

    def open_container(self) -> OutputContainer:
        """Start the output, written through at each packet."""
        output = av.open(
            self._target,
            "w",
            format=self._muxer,
            options={"flush_packets": "1"},
            metadata_errors="surrogateescape",
        )
        output.metadata.update(self._original.metadata)
        if self._muxer != "yuv4mpegpipe":
            output.set_chapters(self._original.chapters())
        return output

    def add_stream(self, threads: int) -> VideoStream:
        """Add all streams, in the source's order."""
        main = video_stream(self._original, self._target)
        made: VideoStream | None = None
        for stream in self._original.streams:
            if stream is main:
                made = super().add_stream(threads)
                if self._info.rotation_deg:
                    made.set_display_rotation(-self._info.rotation_deg)
                made.metadata.update(main.metadata)
                made.disposition = main.disposition
            elif codec := self._convert.get(stream.index):
                if not converts(stream, codec, self._muxer):
                    raise NodeConfigError(
                        f"encode.convert: {stream.type} stream {stream.index} cannot become"
                        f" {codec} in {self._muxer}"
                    )
                converter = StreamConverter(self._container, stream, codec)
                self._converters[stream.index] = converter
            elif self._muxer != "yuv4mpegpipe" and fits(stream, self._muxer):
                self._copies[stream.index] = copy_stream(self._container, stream)
            else:
                stream.discard = Discard.all
                what = f"stream {stream.index}, {stream.type} {codec_name(stream)}"
                log.warning("%s cannot hold %s: left out", self._muxer, what)
        assert made is not None  # noqa: S101 - the main stream is one of the container's
        return made

    def offset_of(self, first_pts: int) -> int:
        """Return 0: the output's times are the source's."""
        del first_pts
        return 0

    def put(self, packet: Packet[VideoStream]) -> None:
        """Write a packet of the encoder."""
        with self._lock:
            super().put(packet)

    def finish(self) -> None:
        """Empty the converters of other streams, then the encoder; complete the file."""
        with self._lock:
            for converter in self._converters.values():
                self._container.mux(converter.packets(None))
        super().finish()

    def copy(self, packet: Packet[Stream]) -> None:
        """Write a packet of another stream; libav puts it in its place by time."""
        index = packet.stream_index
        if index in self._converters and packet.size:
            with self._lock:
                self._container.mux(self._converters[index].packets(packet))
            return
        copy = self._copies.get(index)
        if copy is None or isinstance(copy, AttachmentStream) or not packet.size:
            return
        packet.dts = packet.pts if packet.dts is None else packet.dts
        last = self._last_dts.get(index)
        if packet.dts is None or (last is not None and packet.dts <= last):
            log.warning("a packet of stream %d came out of order and was left out", index)
            return
        self._last_dts[index] = packet.dts
        packet.stream = copy
        with self._lock:
            self._container.mux(packet)
