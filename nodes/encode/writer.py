"""Writing an encoded file with exact times."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video import VideoStream

from nodes.encode.encoder_table import hdr_encoders
from nodes.encode.encoders import EncoderPlan
from nodes.errors import MediaError, NodeConfigError, WriteError
from nodes.media.urls import file_url
from nodes.picture.captions import Captions
from nodes.picture.formats import PictureConverter
from nodes.picture.layout import chroma_siting
from nodes.picture.view import PictureView
from nodes.types import Frame, VideoInfo

__all__ = ["PTS_OFFSET_KEY", "VIDEO_FILE", "Writer"]

VIDEO_FILE = "encoded.video"
"""Name of the file in the node's own folder."""

_MUXER_OPTIONS = {
    # By default muxers shift all times if decoding times are negative.
    "avoid_negative_ts": "disabled",
    # MP4 and QuickTime keep `PTS_OFFSET_KEY` only with this option, which others do not have.
    "movflags": "use_metadata_tags",
}

PTS_OFFSET_KEY = "aminet_pts_offset"
"""Metadata key of the ticks to add to the file's pts, because NUT has no negative times."""


class Writer:
    """Writes one file. `pipeline.stream.nodes` has a subclass for streams."""

    def __init__(self, path: Path, plan: EncoderPlan, info: VideoInfo, threads: int) -> None:
        """Open the encoder and start the file.

        Args:
            path: the file to write.
            plan: the encoder and its settings.
            info: the video to encode.
            threads: CPU threads of the encoder.

        Raises:
            NodeConfigError: the encoder refuses its settings.
            WriteError: the file cannot be written.
        """
        self._path, self._plan, self._info = path, plan, info
        self._frames = self._packets = self._captioned = 0
        self._captions = Captions()
        self._last: Frame | None = None
        self._knows_durations = True
        self._offset_ticks = 0
        self._finished = False
        self._converter = PictureConverter(info.width_px, info.height_px, plan.pix_fmt, info.color)
        for name, value in plan.facts.environment.items():
            os.environ.setdefault(name, value)
        try:
            self._container = self.open_container()
            self._stream = self.add_stream(threads)
        except FFmpegError as error:
            raise WriteError(f"{path}: cannot write ({error.strerror})") from error
        order = "tff" if info.top_field_first else "bff"
        self._view = PictureView(order if self._codes_fields() else None)
        self._open_encoder()

    def _codes_fields(self) -> bool:
        return self._info.interlaced and self._plan.facts.interlaced

    def open_container(self) -> OutputContainer:
        """Open the output container."""
        muxer = self._plan.facts.segment_muxer
        return av.open(file_url(self._path), "w", format=muxer, container_options=_MUXER_OPTIONS)

    def add_stream(self, threads: int) -> VideoStream:
        """Add the video stream, with the encoder configured but not opened."""
        plan, info = self._plan, self._info
        rate = info.average_rate or Fraction(25)
        options = dict(plan.options)
        # The siting is set only if the source gives one.
        if info.color.chroma:
            options["chroma_sample_location"] = chroma_siting(info.color)[0]
        stream = self._container.add_stream(plan.encoder, rate=rate, options=options)
        if not isinstance(stream, VideoStream):
            raise NodeConfigError(f"encode.codec: {plan.encoder!r} is no video encoder")
        context = stream.codec_context
        context.width, context.height = info.width_px, info.height_px
        context.pix_fmt = plan.pix_fmt
        context.time_base = info.time_base
        context.thread_count = threads
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.colorspace, context.color_range = info.color.matrix, info.color.range
        context.color_primaries, context.color_trc = info.color.primaries, info.color.transfer
        if plan.bitrate_bps is not None:
            context.bit_rate = plan.bitrate_bps
        if self._codes_fields():
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        return stream

    def _open_encoder(self) -> None:
        plan = self._plan
        try:
            self._stream.codec_context.open()
        except FFmpegError as error:
            self.close()
            settings = ", ".join(f"{key}={value}" for key, value in plan.options.items())
            if plan.facts.needs:
                raise NodeConfigError(
                    f"encoder {plan.encoder} needs {plan.facts.needs}, and finds none that takes"
                    f" {plan.pix_fmt} ({error.strerror}); choose another encode.codec"
                ) from error
            raise NodeConfigError(
                f"encoder {plan.encoder} refuses {self._info.width_px}x{self._info.height_px}"
                f" {plan.pix_fmt} with {settings} ({error.strerror}); check encode.preset,"
                " encode.crf and encode.options, or choose another encode.codec"
            ) from error
        unused = set(self._stream.codec_context.options) & set(plan.options)
        if unused:
            self.close()
            raise NodeConfigError(
                f"encoder {plan.encoder} does not know the option(s) {', '.join(sorted(unused))};"
                " check encode.preset, encode.crf and encode.options"
            )

    def write(self, frame: Frame) -> None:
        """Encode a frame and write the packets that the encoder returns."""
        picture, info = frame.picture, self._info
        if (picture.width, picture.height) != (info.width_px, info.height_px):
            raise MediaError(
                f"frame {frame.index} is {picture.width}x{picture.height}, expected"
                f" {info.width_px}x{info.height_px} as announced"
            )
        if self._last is None:
            self._offset_ticks = self.offset_of(frame.pts)
            if self._offset_ticks:
                self._container.metadata[PTS_OFFSET_KEY] = str(self._offset_ticks)
        elif frame.pts <= self._last.pts:
            raise MediaError(
                f"frame {frame.index} has pts {frame.pts}, expected more than {self._last.pts}"
            )
        self._captioned += self._captions.of(picture)
        picture = self._captions.carried(picture, self._converter.convert(picture))
        picture = self._view.of(picture)
        picture.pts, picture.time_base = frame.pts - self._offset_ticks, info.time_base
        picture.duration = frame.duration_ticks
        self._encode(picture)
        self._frames += 1
        if self._last is not None:
            # Some demuxers give every frame a duration of one tick.
            step_ticks = frame.pts - self._last.pts
            self._knows_durations = 2 * self._last.duration_ticks >= step_ticks
        self._last = frame

    def offset_of(self, first_pts: int) -> int:
        """Return the ticks to add to the file's times; see `PTS_OFFSET_KEY`."""
        return min(0, first_pts)

    def put(self, packet: Packet[VideoStream]) -> None:
        """Write a packet of the encoder."""
        self._container.mux(packet)

    def _encode(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                self._packets += 1
                self.put(packet)
        except (FFmpegError, OSError) as error:
            raise WriteError(f"{self._path}: cannot write ({error.strerror})") from error

    def finish(self) -> None:
        """Flush the encoder, complete the file, and check it."""
        if self._last is not None:
            self._encode(None)
        try:
            self._container.close()
        except (FFmpegError, OSError) as error:
            raise WriteError(f"{self._path}: cannot write ({error.strerror})") from error
        if self._packets != self._frames:
            raise MediaError(
                f"{self._path}: encoder {self._plan.encoder} gave {self._packets} packets for"
                f" {self._frames} frames; choose another encode.codec"
            )
        self._finished = True

    def close(self) -> None:
        """Close the file, and remove it if it is unfinished."""
        if self._finished:
            return
        # The file is removed anyway, and the original error is being raised.
        with suppress(FFmpegError, OSError):
            self._container.close()
        self._path.unlink(missing_ok=True)

    def _field_report(self) -> str | None:
        if not self._info.interlaced:
            return None
        return "coded as fields" if self._codes_fields() else "kept in the pixels, coded as frames"

    def _hdr_report(self) -> str | None:
        if self._info.hdr is None:
            return None
        return "left out" if self._plan.facts.hdr_words is None else "kept"

    def _warnings(self) -> list[str]:
        lines: list[str] = []
        if self._captioned and not self._plan.facts.captions:
            lines.append(
                f"{self._plan.encoder} cannot hold the closed captions of {self._captioned} frames:"
                " left out; x264 and x265 can"
            )
        if self._hdr_report() != "left out":
            return lines
        *others, last = hdr_encoders()
        return [
            *lines,
            f"{self._plan.encoder} cannot be told of the HDR10 mastering display and light levels:"
            f" left out; {', '.join(others)} and {last} can",
        ]

    def _last_duration_ticks(self) -> int:
        return self._last.duration_ticks if self._last and self._knows_durations else 0

    def report(self) -> dict[str, Any]:
        """Return the writer's report, as JSON types."""
        plan = self._plan
        converted = plan.pix_fmt != self._info.pix_fmt
        return {
            "encoder": plan.encoder,
            "codec": plan.codec_name,
            "pix_fmt": plan.pix_fmt,
            "converted_from": self._info.pix_fmt if converted else None,
            "fields": self._field_report(),
            "lossless": plan.lossless,
            "settings": dict(plan.options),
            "bitrate_bps": plan.bitrate_bps,
            "hdr": self._hdr_report(),
            "captions": self._captioned,
            "frames": self._frames,
            "bytes": self._path.stat().st_size if self._path.exists() else 0,
            "last_duration_ticks": self._last_duration_ticks(),
            "warnings": self._warnings(),
        }
