"""Decode and encode nodes for pipes and live sources, with their other streams.

The source can be opened only once, so that nothing can be checked in advance: streams that the
output cannot hold are left out with a warning. The encoder uses no reordering and no lookahead, so
that each frame is written as soon as it is done. An interrupt ends the source, and the frames read
until then are finished.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video import VideoStream

from nodes.decode import Decode, DecodeConfig
from nodes.encode import Encode
from nodes.encode.encoder_table import containers_of
from nodes.encode.encoders import EncodeConfig, EncoderPlan
from nodes.encode.writer import Writer
from nodes.errors import NodeConfigError
from nodes.media.open import video_stream
from nodes.media.urls import file_url, is_url
from nodes.node import Outputs, Segment
from nodes.reports import counted
from nodes.types import VideoInfo
from pipeline.containers.other_streams import OtherStreams
from pipeline.containers.packet_clock import SteadyTimes
from pipeline.containers.stream_plan import StreamPolicy
from pipeline.containers.trim import Trim
from pipeline.containers.video_stream import facts_of

__all__ = ["StreamDecode", "StreamEncode"]

log = logging.getLogger(__name__)

_SAME_FORMAT: Final = {
    "matroska,webm": "matroska",
    "nut": "nut",
    "yuv4mpegpipe": "yuv4mpegpipe",
    "mpegts": "mpegts",
}
"""Muxers that can write to a pipe, by demuxer; other sources become Matroska."""

_RAW: Final = frozenset({"rawvideo", "wrapped_avframe"})


class StreamDecode(Decode):
    """Reads a source once, and can be stopped.

    Frames of a live source that are late, because processing is too slow, are dropped and counted,
    which bounds the latency.
    """

    def __init__(
        self, config: DecodeConfig, *, live: bool = False, max_latency_s: float | None = None
    ) -> None:
        """Create the node.

        Args:
            config: the decoder's settings.
            live: whether the source continues when it is not read.
            max_latency_s: frames of a live source that have waited for longer are dropped.
        """
        super().__init__(config)
        self._stop = threading.Event()
        self.live_until = self._stop if live else None
        self._max_latency_s = max_latency_s
        self._late = 0

    def stop(self) -> None:
        """End after the current frame, as if the source had ended. Thread-safe."""
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
        """Return the source's report, with the number of dropped frames."""
        report = super().report()
        if not self._late:
            return report
        warning = (
            f"left out {counted(self._late, 'frame')} to stay within {self._max_latency_s:g} s of"
            " the source (run.max_latency_s)"
        )
        return {**report, "late": self._late, "warnings": [*report.get("warnings", ()), warning]}


class StreamEncode(Encode):
    """Writes the restored video and the source's other streams."""

    def __init__(
        self, config: EncodeConfig, source: StreamDecode, target: str, container: str | None
    ) -> None:
        """Create the node.

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
        # A pipe of raw pictures gives raw pictures, for the next program to encode.
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
        if plan.codec_name not in _RAW and container not in containers_of(plan.codec_name):
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
            StreamPolicy.of(self._config),
        )
        self._stream_writer = writer
        while self._early:
            writer.copy(self._early.popleft())
        return writer


class _StreamWriter(Writer):
    """An output that is written without seeking."""

    def __init__(
        self,
        target: str,
        plan: EncoderPlan,
        info: VideoInfo,
        threads: int,
        source: StreamDecode,
        container: str,
        policy: StreamPolicy,
    ) -> None:
        self._policy = policy
        self._target, self._muxer, self._original = target, container, source.container
        self._video = source.config.video
        self._lock = threading.Lock()
        self._steady = SteadyTimes()
        self._trim: Trim | None = None
        self._waiting: deque[Packet[Stream]] = deque()
        """Packets of a part of the source, until the first picture says where it begins."""
        at_once = replace(plan, options={**plan.facts.zero_latency, **plan.options})
        super().__init__(Path(target), at_once, info, threads)
        self._container.start_encoding()

    def open_container(self) -> OutputContainer:
        """Open the output, flushed after each packet."""
        # y4m with more than 8 bits is not official, but all who read y4m know it.
        strict = {"strict": "unofficial"} if self._muxer == "yuv4mpegpipe" else {}
        output = av.open(
            self._target if is_url(self._target) else file_url(self._target),
            "w",
            format=self._muxer,
            options={"flush_packets": "1", **strict},
            metadata_errors="surrogateescape",
        )
        output.metadata.update(self._original.metadata)
        if self._muxer != "yuv4mpegpipe":
            chapters, span = self._original.chapters(), self._info.span_pts
            output.set_chapters(Trim(self._info, span[0]).chapters(chapters) if span else chapters)
        return output

    def add_stream(self, threads: int) -> VideoStream:
        """Add all streams, in the source's order."""
        main = video_stream(self._original, self._target, self._video)

        def add_video() -> VideoStream:
            made = super(_StreamWriter, self).add_stream(threads)
            if self._info.rotation_deg:
                made.set_display_rotation(-self._info.rotation_deg)
            made.metadata.update(facts_of(main))
            made.disposition = main.disposition
            return made

        self._others = OtherStreams(
            self._original, main, self._container, self._muxer, self._policy
        )
        made = self._others.add_streams(add_video)
        for what in self._others.left_out:
            log.warning("%s: left out", what)
        for what in self._others.converted:
            log.warning("%s", what)
        return made

    def offset_of(self, first_pts: int) -> int:
        """Return what is 0 in the output: the source's 0, of a part of it its first picture."""
        if self._info.span_pts is None:
            return 0
        with self._lock:
            self._trim = Trim(self._info, first_pts)
            while self._waiting:
                self._write_other(self._waiting.popleft())
        return first_pts

    def put(self, packet: Packet[VideoStream]) -> None:
        """Write a packet of the encoder."""
        with self._lock:
            super().put(packet)

    def finish(self) -> None:
        """Flush the converters of other streams and the encoder, and complete the file."""
        with self._lock:
            for held in self._steady.end():
                self._write_other(held)
            self._others.finish()
        for note in self._steady.notes:
            log.warning("%s", note)
        for stream in self._others.copied:
            if stream.retimed_packets:
                log.warning(
                    "%d packets of stream %d came out of order and were moved up",
                    stream.retimed_packets,
                    stream.source_index,
                )
        super().finish()

    def copy(self, packet: Packet[Stream]) -> None:
        """Write a packet of another stream; libav interleaves packets by time."""
        with self._lock:
            for ready in self._steady.push(packet):
                self._write_other(ready)

    def _write_other(self, packet: Packet[Stream]) -> None:
        """Write a packet of another stream if it is in the part of the source that is wanted."""
        span, ticks = self._info.span_pts, packet.pts if packet.pts is not None else packet.dts
        if span is None or (self._trim is not None and self._trim.keeps(packet)):
            self._others.write(packet)
        elif self._trim is None and ticks is not None:
            end = (ticks + (packet.duration or 0)) * packet.time_base
            if end > span[0] * self._info.time_base:
                self._waiting.append(packet)
