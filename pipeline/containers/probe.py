"""Probing a file: its streams, its video, and its timing from all packets."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from pathlib import PurePath
from typing import Final, Literal

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video import VideoStream

from nodes.errors import MediaError
from nodes.media.container_facts import ContainerFacts, container_facts
from nodes.media.open import (
    codec_name,
    describe_video,
    most_step_ticks,
    open_media,
    read_packets,
    ticks_of,
    video_stream,
)
from nodes.media.picture_formats import photo_format
from nodes.media.picture_forms import FormScan
from nodes.media.reader import first_picture
from nodes.picture.formats import editable_format
from nodes.types import PictureForm, VideoInfo
from pipeline.containers.sound_scan import SoundScan
from pipeline.pieces.cuts import CutScan

__all__ = ["ProbeResult", "StreamFacts", "TimingFacts", "is_media", "probe", "scan_packets"]

_NOT_MEDIA_SUFFIXES: Final = frozenset(
    """.bmp .c .cfg .conf .csv .db .doc .docx .gz .htm .html .ini .json .log .md .pdf .py .srt
    .sub .svg .tif .tiff .toml .txt .vtt .xls .xlsx .xml .yaml .yml .zip
    """.split()  # noqa: SIM905 - easier to read
)
"""Suffixes of files that are not media and are not opened, besides those of photographs."""

_PICTURE_FORMATS: Final = ("image2", "_pipe")
"""Suffixes of the names of libav's demuxers for single pictures."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stream, as described by its container."""

    index: int
    kind: str
    codec: str
    language: str | None
    start_s: float | None
    duration_s: float | None
    disposition: tuple[str, ...]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class TimingFacts:
    """The timing of the video's packets."""

    frames: int
    """Packets that are shown."""
    keyframes: int
    longest_keyframe_interval_s: float
    kind: Literal["constant", "variable", "incomplete"]
    """Constant: every time lies within one tick of a regular grid. Incomplete: some have none, or
    two have the same."""
    missing_pts: int
    repeated_pts: int
    first_pts: int | None
    last_pts: int | None
    shortest_step_ticks: int
    longest_step_ticks: int
    damaged_packets: int
    """Packets that the demuxer marked as damaged or cut short."""
    ended_in_error: bool
    """Whether reading stopped at something unreadable."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The description of a file."""

    source: str
    container: str
    """libav's names of the demuxer."""
    start_s: float | None
    duration_s: float | None
    """From the container, which may be wrong."""
    streams: tuple[StreamFacts, ...]
    video: VideoInfo
    """The video stream whose faces are restored."""
    video_stream: int
    """Its index."""
    edited_as: str
    """The pixel format in which frames are processed."""
    timing: TimingFacts
    chapters: int
    metadata: dict[str, str]


def probe(source: str) -> ProbeResult:
    """Read all packets of a file, and decode its first picture.

    Args:
        source: path or URL.

    Raises:
        MediaError: it cannot be opened, or has no video that can be decoded.
        UnsupportedFormatError: the pixel format is not supported.
    """
    info = _first_picture_info(source)
    with open_media(source) as container:
        video = video_stream(container, source)
        return ProbeResult(
            source=source,
            container=container.format.name,
            start_s=_seconds(container.start_time, Fraction(1, 1_000_000)),
            duration_s=_seconds(container.duration, Fraction(1, 1_000_000)),
            streams=tuple(_facts(stream) for stream in container.streams),
            video=info,
            video_stream=video.index,
            edited_as=editable_format(info.pix_fmt),
            chapters=len(container.chapters()),
            metadata=_printable(container.metadata),
            timing=_timing(_read_packets(container, video)),
        )


@dataclass(frozen=True, slots=True)
class PacketScan:
    """The packets of a video stream."""

    container: str
    """libav's names of the demuxer."""
    time_base: Fraction
    """Seconds per tick."""
    frames: int
    """Packets that are shown."""
    keyframes: int
    shown_pts: Sequence[int]
    """Presentation times, sorted, without packets that have none."""
    keyframe_pts: Sequence[int]
    """Presentation times of the keyframes, sorted."""
    missing_pts: int
    backward_dts: int
    """Number of packets with an earlier decoding time than the previous one."""
    damaged_packets: int
    """Packets that the demuxer marked as damaged or cut short."""
    ended_in_error: bool
    """Whether reading stopped at something unreadable."""
    digest: str
    """SHA-256 over the packets' times and sizes."""
    cut_pts: Sequence[int] = ()
    """Presentation times of the keyframes at which the video can be cut, see `CutScan`, sorted."""
    hidden: int = 0
    """Packets that are decoded and not shown, by an edit list."""
    additions: int = 0
    """Packets with a second picture, of alpha."""
    headers: int = 1
    """Headers of the codec that apply one after another."""
    header: bytes = b""
    """The first of them."""
    codec: str = ""
    """libav's name."""
    sounds: Mapping[int, SoundScan] = field(default_factory=dict[int, SoundScan])
    """By the number of the stream."""
    pictures: tuple[PictureForm, ...] = ()
    """The forms of the pictures if they change, else nothing."""
    facts: ContainerFacts = field(default_factory=ContainerFacts)
    """What else the container says of the pictures."""


def scan_packets(source: str, video: int | None = None) -> PacketScan:
    """Read all packets of a file's video. Only keyframes with another header are decoded.

    Args:
        source: path or URL.
        video: index of the video stream; None: the best one.

    Raises:
        MediaError: it cannot be opened, or has no video that can be decoded.
    """
    with open_media(source) as container:
        return _read_packets(container, video_stream(container, source, video))


def is_media(path: PurePath) -> bool:
    """Return whether a file contains video. It is opened, unless its suffix excludes video."""
    if path.suffix.lower() in _NOT_MEDIA_SUFFIXES or photo_format(path) is not None:
        return False
    try:
        with open_media(str(path)) as container:
            video_stream(container, str(path))
            return not container.format.name.endswith(_PICTURE_FORMATS)
    except MediaError:
        return False


def _first_picture_info(source: str) -> VideoInfo:
    with first_picture(source) as (reader, first):
        if first is None:
            raise MediaError(f"{source}: no picture could be decoded; check that it plays")
        return describe_video(reader.container, reader.stream, first)


def _facts(stream: Stream) -> StreamFacts:
    return StreamFacts(
        index=stream.index,
        kind=stream.type or "unknown",
        codec=codec_name(stream),
        language=stream.language,
        start_s=_seconds(stream.start_time, stream.time_base),
        duration_s=_seconds(stream.duration, stream.time_base),
        disposition=tuple(flag.name or "" for flag in Disposition if flag & stream.disposition),
        metadata=_printable(stream.metadata),
    )


def _read_packets(container: InputContainer, video: VideoStream) -> PacketScan:
    pts, keys, digest = array("q"), array("q"), sha256()
    frames = keyframes = missing = damaged = backward = hidden = additions = 0
    codec, headers = codec_name(video), 1
    # PyAV's stubs do not say that there may be none.
    header = getattr(video.codec_context, "extradata", None) or b""
    cuts = CutScan(codec, header)
    ended_in_error = False
    last_dts: int | None = None
    most_step = most_step_ticks(container.format.name)
    forms = FormScan(video)
    sounds = {stream.index: SoundScan() for stream in container.streams.audio}
    try:
        for packet in read_packets(container, video, *container.streams.audio):
            if packet.stream_index in sounds:
                sounds[packet.stream_index].add(packet)
                continue
            if not packet.size:
                continue
            if packet.is_discard:
                hidden += 1
                continue
            headers += packet.has_sidedata("new_extradata")
            additions += packet.has_sidedata("matroska_block_additional")
            forms.add(packet)
            frames += 1
            damaged += packet.is_corrupt
            digest.update(f"{packet.pts} {packet.dts} {packet.size}\n".encode())
            keyframes += packet.is_keyframe
            if packet.dts is not None:
                step = 0 if last_dts is None else packet.dts - last_dts
                backward += step < 0 or (most_step is not None and step > most_step)
                last_dts = packet.dts
            if packet.pts is None:
                missing += 1
                continue
            pts.append(packet.pts)
            cuts.add(packet)
            if packet.is_keyframe:
                keys.append(packet.pts)
    except FFmpegError:
        ended_in_error = True
    return PacketScan(
        container=container.format.name,
        time_base=ticks_of(video),
        frames=frames,
        keyframes=keyframes,
        shown_pts=array("q", sorted(pts)),
        keyframe_pts=array("q", sorted(keys)),
        missing_pts=missing,
        backward_dts=backward,
        damaged_packets=damaged,
        ended_in_error=ended_in_error,
        digest=digest.hexdigest(),
        cut_pts=cuts.cuts(),
        hidden=hidden,
        headers=headers,
        additions=additions,
        header=header,
        codec=codec,
        sounds=sounds,
        pictures=forms.changing,
        facts=container_facts(video),
    )


def _timing(scan: PacketScan) -> TimingFacts:
    shown, keys = scan.shown_pts, scan.keyframe_pts
    steps = [after - before for before, after in pairwise(shown)]
    key_steps = [after - before for before, after in pairwise([*keys, *shown[-1:]])]
    return TimingFacts(
        frames=scan.frames,
        keyframes=scan.keyframes,
        longest_keyframe_interval_s=float(max(key_steps, default=0) * scan.time_base),
        kind=_kind(shown, scan.missing_pts),
        missing_pts=scan.missing_pts,
        repeated_pts=steps.count(0),
        first_pts=shown[0] if shown else None,
        last_pts=shown[-1] if shown else None,
        shortest_step_ticks=min(steps, default=0),
        longest_step_ticks=max(steps, default=0),
        damaged_packets=scan.damaged_packets,
        ended_in_error=scan.ended_in_error,
    )


def _kind(shown: Sequence[int], missing: int) -> Literal["constant", "variable", "incomplete"]:
    if missing or len(set(shown)) < len(shown):
        return "incomplete"
    last = len(shown) - 1
    if last < 1:
        return "constant"
    span = shown[-1] - shown[0]
    # Times number i off the grid by more than a tick, without fractions.
    grid = (
        abs((time - shown[0]) * last - number * span) <= last for number, time in enumerate(shown)
    )
    return "constant" if all(grid) else "variable"


def _printable(metadata: dict[str, str]) -> dict[str, str]:
    """Replace surrogates of bytes that are not UTF-8, which terminals cannot show."""
    return {
        key: value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for key, value in metadata.items()
    }


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return None if ticks is None or time_base is None else float(ticks * time_base)
