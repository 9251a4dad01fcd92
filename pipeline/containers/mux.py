"""Muxing the pieces of the video with the other streams of the source.

The packets of encoded segments are concatenated, which requires equal encoder settings, and those
of unchanged stretches are copied from the source. Packets of other streams are copied. The decoding
times of the video are computed again, because the encoder may reorder differently from the source:
dts_i = sorted_pts[i - D], D being the largest reorder.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Stream

from nodes.errors import MediaError, WriteError
from nodes.media.container_facts import container_facts
from nodes.media.open import open_media, open_whole, read_packets, video_stream
from nodes.media.urls import file_url
from nodes.types import Restart, VideoInfo
from pipeline.containers.arrangement import Target, arrangement_kept, arrangement_written
from pipeline.containers.formats import container_format
from pipeline.containers.holding import is_cover
from pipeline.containers.other_streams import CopiedStream, OtherStreams
from pipeline.containers.packet_clock import SteadyTimes, Written
from pipeline.containers.restarts import RestartedTimes
from pipeline.containers.stream_plan import StreamPolicy
from pipeline.containers.trim import Trim
from pipeline.containers.video_stream import (
    add_video,
    first_display_matrix,
    kept_metadata,
    quicktime_options,
)
from pipeline.errors import OutputError
from pipeline.pieces.packets import Piece, joined_header, piece_packets
from pipeline.pieces.proof import prove
from pipeline.pieces.timing import VideoTiming, deviation, read_timing

__all__ = ["MuxReport", "mux"]

_ANYWHERE: Final = frozenset({"mpegts", "mpeg", "dhav", "flv", "live_flv", "asf", "rtsp", "sdp"})
"""Demuxers whose times have an arbitrary start."""

_LONGEST_LEAD_S: Final = 3600


@dataclass(frozen=True, slots=True)
class MuxReport:
    """The result of muxing, as read back from the finished file."""

    container: str
    """libav's name of the muxer."""
    frames: int
    """Video packets in the output."""
    time_base: str
    """Time base of the video in the output; the container may not support that of the source."""
    shift_s: float
    """Shift of all times relative to the source, s; not 0 if the container cannot start as early.
    """
    max_deviation_s: float
    """Largest deviation of a frame from its exact time plus `shift_s`, s."""
    copied: tuple[CopiedStream, ...]
    left_out: tuple[str, ...]
    """Streams of the source that the container cannot hold, or that are not wanted."""
    chapters: int
    notes: tuple[str, ...] = ()
    """Messages for the user about other streams."""
    kept: tuple[str, ...] = ()
    """Kinds of `nodes.media.side_data.CARRIED` that the header says as that of the source did."""
    own_colors: bool = False
    """Whether unchanged pixels have the colours of the source, although the graph had them in
    another pixel format."""


def mux(
    pieces: Sequence[Piece],
    source: str,
    target: Path,
    info: VideoInfo,
    *,
    container: str | None = None,
    last_duration_ticks: int = 0,
    policy: StreamPolicy | None = None,
    restarts: Sequence[Restart] = (),
    comment: str | None = None,
    cuts: Sequence[int] = (),
    video: int | None = None,
    keep_start: bool = False,
) -> MuxReport:
    """Write the frames of `pieces` and all other streams of `source` to `target`.

    Args:
        pieces: encoded segments and stretches of the source, in order.
        source: path or URL of the source.
        target: written in place: give a temporary name, and rename it when this returns.
        info: the encoded video; its time base is the one of the source.
        container: libav's name of the muxer, if `target`'s suffix does not say it.
        last_duration_ticks: how long the last frame is shown; 0 takes the one before as a guide.
        policy: what is wanted of the streams beside the video.
        restarts: where the source's clock starts again, as `nodes.decode` found it.
        comment: added to the comment of the source, if the container has one.
        cuts: pts of the source's keyframes at which decoding can begin, sorted.
        video: index of the source's video stream; None: the best one.
        keep_start: whether the output begins at the source's time where that is arbitrary.

    Raises:
        MediaError: a file cannot be read, the segments cannot be joined, or frames are missing in
            the target, or other ones where packets were copied.
        WriteError: the target cannot be written.
        OutputError: its container cannot hold the streams; see
            `pipeline.containers.formats.check_target`.
    """
    name = container or container_format(target)
    if name is None:
        raise OutputError(f"{target}: no container is known by that suffix")
    timing = read_timing(pieces, source, info, last_duration_ticks)
    files = [piece for piece in pieces if isinstance(piece, Path)]
    _check_headers(files)
    like = str(files[0]) if len(files) == len(pieces) else source
    with open_whole(source) as original, open_media(like) as first:
        begin = timing.shown[0] if info.span_pts else None
        if begin is None and not keep_start:
            begin = _origin(original, info, timing)
        trim = None if begin is None else Trim(info, begin)
        exact = timing
        if trim is not None:
            timing = trim.timing(timing)
        job = _Mux(
            pieces,
            first,
            original,
            source,
            info,
            timing,
            name,
            trim,
            policy or StreamPolicy(),
            restarts,
            comment,
            video,
        )
        try:
            job.write(target)
        except (FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise WriteError(f"{target}: cannot write ({reason})") from error
    report, ticks = job.report(target)
    if len(files) < len(pieces):
        prove(target, ticks, pieces, source, info, exact, cuts)
    return report


class _Mux:
    """State of muxing an output."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        first: InputContainer,
        original: InputContainer,
        source: str,
        info: VideoInfo,
        timing: VideoTiming,
        container: str,
        trim: Trim | None,
        policy: StreamPolicy,
        restarts: Sequence[Restart],
        comment: str | None,
        video: int | None,
    ) -> None:
        self._pieces, self._first, self._trim, self._policy = pieces, first, trim, policy
        self._original, self._source = original, source
        self._info, self._timing, self._container = info, timing, container
        self._metadata, self._lost = kept_metadata(original.metadata, comment, container, info)
        with open_media(source) as probed:
            number = video_stream(probed, source, video).index
        # libav's choice may be another one in a file of which it has read more.
        self._main = next(found for found in original.streams.video if found.index == number)
        self._joined = joined_header(pieces, source)
        self._matrix = first_display_matrix(source, video)
        self._restarts = RestartedTimes(restarts, info.time_base, self._main)
        self._steady = SteadyTimes()

    def write(self, target: Path) -> None:
        """Write the whole file."""
        with av.open(
            file_url(target),
            "w",
            format=self._container,
            container_options=self._options(target),
            metadata_errors="surrogateescape",
        ) as output:
            self._add_streams(output)
            self._describe(output)
            output.start_encoding()
            self._interleave(output)

    def _options(self, target: Path) -> dict[str, str]:
        if self._container in ("mp4", "mov"):
            return quicktime_options(self._metadata)
        if self._container == "mpegts" and target.suffix.lower() == ".m2ts":
            return {"mpegts_m2ts_mode": "1"}
        # NUT stores no decoding times, so that negative ones need no shift. With other streams they
        # do, because of its synchronisation points.
        alone = len(self._original.streams) == 1
        if self._container == "nut" and alone and self._timing.shown[0] >= 0:
            return {"avoid_negative_ts": "disabled"}
        return {}

    def _add_streams(self, output: OutputContainer) -> None:
        """Make the output's streams, in the source's order."""
        self._facts = container_facts(self._main)
        encoded = video_stream(self._first, self._source)
        target = Target(self._container, encoded.codec.canonical_name, self._info)
        self._arrangement = arrangement_kept(self._main, target)
        self._others = OtherStreams(
            self._original,
            self._main,
            output,
            self._container,
            self._policy,
            source=self._source,
        )
        self._video = self._others.add_streams(
            lambda: add_video(
                output,
                encoded,
                self._main,
                self._info,
                container=self._container,
                arranged=bool(self._arrangement),
                matrix=self._matrix,
                joined=self._joined,
            )
        )

    def _describe(self, output: OutputContainer) -> None:
        output.metadata.update(self._metadata)
        chapters = self._original.chapters()
        output.set_chapters(chapters if self._trim is None else self._trim.chapters(chapters))

    def _interleave(self, output: OutputContainer) -> None:
        """Write packets in the order of decoding times, which keeps libav's queue short."""
        others = self._other_packets()
        other = next(others, None)
        for packet in self._video_packets():
            while other is not None and _time(other) <= _time(packet):
                self._others.write(other)
                other = next(others, None)
            output.mux(packet)
        while other is not None:
            self._others.write(other)
            other = next(others, None)
        self._others.finish()

    def _video_packets(self) -> Iterator[Packet[Stream]]:
        packets = piece_packets(self._pieces, self._source, self._joined)
        for number, packet in enumerate(packets):
            packet.time_base = self._info.time_base
            packet.pts = self._timing.pts[number]
            packet.dts = self._timing.dts(number)
            packet.duration = self._timing.duration(number)
            packet.stream = self._video
            yield packet

    def _other_packets(self) -> Iterator[Packet[Stream]]:
        if not self._others.read:
            return
        wanted = self._others.read
        if self._restarts:
            wanted = [self._main, *wanted]
        else:
            self._main.discard = Discard.all
        # Read errors were already reported by `nodes.decode`.
        with suppress(FFmpegError):
            for packet in read_packets(self._original, *wanted):
                self._restarts.move(packet)
                if packet.size and packet.stream_index != self._main.index:
                    yield from filter(self._is_wanted, self._steady.push(packet))
        yield from filter(self._is_wanted, self._steady.end())

    def _is_wanted(self, packet: Packet[Stream]) -> bool:
        return self._trim is None or is_cover(packet.stream) or self._trim.keeps(packet)

    def report(self, target: Path) -> tuple[MuxReport, Sequence[int]]:
        """Read the finished file and compare it; return the times of its pictures, too."""
        with open_media(str(target)) as written:
            video = next(s for s in written.streams.video if s.index == self._video.index)
            kept = arrangement_written(self._arrangement, video, self._facts)
            time_base = video.time_base or Fraction(1)
            chapters = len(written.chapters())
            ticks, others = array("q"), defaultdict[int, Written](Written)
            for packet in written.demux():
                if not packet.size or (packet.pts is None and not is_cover(packet.stream)):
                    continue
                if packet.stream_index == self._video.index:
                    ticks.append(packet.pts or 0)
                    continue
                shown_s = float((packet.pts or 0) * packet.time_base)
                others[packet.stream_index].shown_s.append(shown_s)
                others[packet.stream_index].bytes.append(packet.size)
        ticks, shown = sorted(ticks), self._timing.shown
        if len(ticks) != len(shown):
            raise MediaError(
                f"{target}: holds {len(ticks)} frames, expected {len(shown)}; choose another"
                " container, such as .mkv"
            )
        shift, rest = deviation(ticks, time_base, shown, self._info.time_base)
        for stream in others.values():
            stream.shown_s = array("d", (time_s - float(shift) for time_s in stream.shown_s))
        copied = self._others.compared(others)
        report = MuxReport(
            container=self._container,
            frames=len(ticks),
            time_base=str(time_base),
            shift_s=float(shift - self._begin_s),
            max_deviation_s=float(rest),
            copied=copied,
            left_out=tuple(self._others.left_out),
            chapters=chapters,
            notes=(
                *self._lost,
                *self._steady.notes,
                *(note for stream in copied for note in stream.notes),
            ),
            kept=kept,
        )
        return report, ticks

    @property
    def _begin_s(self) -> Fraction:
        """Return the source's time that is 0 in the output, if the video is not trimmed."""
        if self._trim is None or self._info.span_pts is not None:
            return Fraction(0)
        return self._trim.start_s


def _origin(original: InputContainer, info: VideoInfo, timing: VideoTiming) -> int | None:
    """Return the source's time that is 0 in the output, None to keep the source's times.

    The times of broadcasts and recorders have an arbitrary start. In other files a late start
    delays the picture, and is kept unless it is hours.
    """
    start_s = timing.shown[0] * info.time_base
    if any(stream.start_time is not None for stream in original.streams):
        start_s = min(start_s, Fraction(original.start_time, 1_000_000))
    names = set(original.format.name.split(","))
    if names & _ANYWHERE or start_s > _LONGEST_LEAD_S:
        return floor(start_s / info.time_base)
    return None


def _check_headers(videos: Sequence[Path]) -> None:
    """Check that all segments have the same codec header, since a stream has only one."""
    header: bytes | None = None
    for index, video in enumerate(videos):
        with open_media(str(video)) as container:
            own = container.streams.video[0].codec_context.extradata
        if index and own != header:
            raise MediaError(
                f"{video}: the encoder wrote another header than for the first segment, so that"
                " they cannot become one stream; run it again with --set run.segment_s=0"
            )
        header = own


def _time(packet: Packet[Stream]) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return (ticks or 0) * packet.time_base
