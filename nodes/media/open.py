"""Opening media with libav, choosing the video stream, and describing it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.format import ContainerFormat, Flags
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video import VideoStream

from nodes.errors import MediaError, NodeConfigError
from nodes.media.allowed import open_allowed
from nodes.media.chroma import chroma_location
from nodes.media.hdr import read_hdr_facts
from nodes.media.picture_files import (
    is_animated_webp,
    is_numbered,
    open_animated_webp,
    open_numbered,
    open_sound_png,
    opened_numbered,
)
from nodes.media.urls import is_url
from nodes.picture.filters import PictureFilter
from nodes.types import ColorTags, VideoInfo

__all__ = [
    "FALLBACK_RATE",
    "clockwise_rotation_deg",
    "codec_name",
    "describe_video",
    "frame_rate",
    "frame_step_ticks",
    "is_photo",
    "most_step_ticks",
    "open_media",
    "open_whole",
    "read_packets",
    "stores_times",
    "tagged_end_s",
    "ticks_of",
    "top_field_first",
    "video_stream",
]

FALLBACK_RATE = Fraction(25)
"""Frame rate of a stream without a rate or usable times, 1/s; libav's own default."""

_MOST_OVER_BASE = 10
"""Times the least rate at which all times can be shown that an average rate may be."""

_MPEG_HOUR = 3600 * 90_000

_PROBE_BYTES = 1 << 27
"""How far a file is read whose streams are not all known; libav keeps that much in memory."""

_PROBE_US = 24 * 3600 * 1_000_000
"""The same in time: only the bytes bound it."""

_TELL_LATE = frozenset({"mpeg", "flv", "live_flv"})
"""Demuxers of formats that do not announce their streams."""

_TAGGED_TIME = re.compile(r"(\d{1,9}):(\d{1,9}):(\d{1,9}(?:\.\d*)?)", re.ASCII)
"""Hours, minutes and seconds in the form of Matroska's muxers."""

_UNSPECIFIED = 2

_RANGE_OF = {"mjpeg": 2}
"""AVCOL_RANGE_* of untagged pictures, by codec."""

_PROGRESSIVE = 1
_BOTTOM_FIRST = frozenset({3, 4})
"""AVFieldOrder values with the bottom field shown first."""


def open_media(
    source: str, *, probe_bytes: int | None = None, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Open a file or URL for reading; see `nodes.media.allowed`.

    Metadata that is not UTF-8 is decoded with surrogate escapes, so that it can be written back
    unchanged.

    Args:
        source: path or URL.
        probe_bytes: how far libav may read to find its streams; None: 5 MB, or 5 seconds.
        hwaccel: the device to decode with; None: the CPU.

    Raises:
        MediaError: the file does not exist, is empty, or cannot be read; or the device cannot be
            opened.
    """
    try:
        return _open(source, probe_bytes, hwaccel)
    except MediaError:
        raise
    except PermissionError as error:
        raise MediaError(f"{source}: no permission to read the file") from error
    except (FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and _is_network(source, error):
            raise MediaError(
                f"{source}: cannot be reached ({_reason(error)}); check the address, and that the"
                " camera or server is running and lets this machine in"
            ) from error
        raise MediaError(
            f"{source}: not a media file that can be read ({_reason(error)}); if it is a video,"
            " its header is missing or damaged: recover or record it again"
        ) from error


def _is_network(source: str, error: OSError) -> bool:
    """Return whether a URL gave no media at all, unlike one whose content is no media."""
    return (
        is_url(source)
        and not source.startswith("pipe:")
        and not isinstance(error, InvalidDataError)
    )


def open_whole(source: str) -> InputContainer:
    """Open a file or URL with all its streams, those that begin late in it too.

    Raises:
        MediaError: see `open_media`.
    """
    container = open_media(source)
    if is_url(source) or not (_tells_late(container) or _lacks_facts(container)):
        return container
    container.close()
    return open_media(source, probe_bytes=_PROBE_BYTES)


def _tells_late(container: InputContainer) -> bool:
    return not _TELL_LATE.isdisjoint(container.format.name.split(","))


def _lacks_facts(container: InputContainer) -> bool:
    known = (getattr(stream, "codec_context", None) for stream in container.streams.audio)
    return any(context is not None and not context.sample_rate for context in known)


def _open(source: str, probe_bytes: int | None, hwaccel: HWAccel | None) -> InputContainer:
    if is_numbered(source):
        return open_numbered(source)
    path = Path(source)
    if not is_url(source):
        if not path.exists():
            raise MediaError(f"{source}: no such file; check the path")
        if path.is_dir():
            raise MediaError(f"{source}: is a folder, expected a video file")
        if not path.is_file():
            raise MediaError(f"{source}: a pipe or device, expected a file; use - to read a pipe")
        if path.stat().st_size == 0:
            raise MediaError(f"{source}: the file is empty (0 bytes); copy or record it again")
        if is_animated_webp(path):
            return open_animated_webp(path)
        if (png := open_sound_png(path)) is not None:
            return png
    options = {} if probe_bytes is None else _probing(probe_bytes)
    return open_allowed(source, options=options, hwaccel=hwaccel)


def _probing(probe_bytes: int) -> dict[str, str]:
    return {"probesize": str(probe_bytes), "analyzeduration": str(_PROBE_US)}


def video_stream(container: InputContainer, source: str, number: int | None = None) -> VideoStream:
    """Return the best video stream, ignoring cover pictures.

    Args:
        container: an open source.
        source: its path or URL, for errors.
        number: index of the stream to return instead.

    Raises:
        MediaError: the container has no video, or none in a codec that can be decoded.
        NodeConfigError: the stream with that number is not one of these.
    """
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [s for s in container.streams.video if not s.disposition & covers]
    if not moving:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise MediaError(
            f"{source}: contains no video, only {', '.join(kinds)}; expected a file with video"
        )
    if _is_heif_still(container):
        raise MediaError(
            f"{source}: a still picture in HEIF (HEIC, AVIF), which may consist of tiles that libav"
            " reads as videos; convert it to PNG or JPEG first"
        )
    # PyAV's codec context is None where libav has no decoder, unlike its type stubs say.
    decodable = [s for s in moving if getattr(s, "codec_context", None) is not None]
    if not decodable:
        raise MediaError(
            f"{source}: the video's codec is unknown or encrypted, nothing here can decode it;"
            " convert or decrypt it first"
        )
    if number is not None:
        for stream in decodable:
            if stream.index == number:
                return stream
        known = ", ".join(f"{s.index} ({codec_name(s)})" for s in decodable)
        raise NodeConfigError(
            f"{source}: has no video stream {number} (--video), expected one of: {known}"
        )
    best = container.streams.best("video")
    return best if best in decodable and isinstance(best, VideoStream) else decodable[0]


def _is_heif_still(container: InputContainer) -> bool:
    """Return whether a file has items of HEIF only, and no track, which would have a duration."""
    brands = container.metadata.get("compatible_brands", "")
    return any(brands[at : at + 4] == "mif1" for at in range(0, len(brands), 4)) and all(
        stream.duration is None for stream in container.streams.video
    )


def codec_name(stream: Stream) -> str:
    """Return libav's name of a stream's codec; for attachments the file name; or `unknown`."""
    context = getattr(stream, "codec_context", None)
    if context is not None:
        return context.codec.canonical_name
    # PyAV's streams without a decoder lack the attribute, unlike its type stubs say.
    return getattr(stream, "name", None) or "unknown"


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """Yield the packets of `streams` in file order, including empty ones, but not PyAV's flushes.

    Raises:
        FFmpegError: the file cannot be read; another call continues after the error.
    """
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:
            # At the end PyAV fails on streams that appeared in mid-file, as in MPEG-TS.
            return
        if packet is None:
            return
        # At the end PyAV adds an empty packet for each stream, to flush decoders.
        if packet.size or packet.dts is not None:
            yield packet


def ticks_of(stream: VideoStream) -> Fraction:
    """Return the time base of the stream's timestamps, in seconds."""
    return stream.time_base or Fraction(1, 90_000)


def stores_times(demuxer: str) -> bool:
    """Return whether a format stores timestamps; raw streams such as .h264 do not.

    Args:
        demuxer: libav's name or names.
    """
    # The flags of an open container's format include those of the muxer, so look it up.
    flags = Flags(ContainerFormat(demuxer.partition(",")[0], "r").flags)
    return Flags.no_timestamps not in flags


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Return the average frame rate, 1/s; None if the container does not give one.

    For a raw stream it is the rate in its header, since the demuxer always reports 25.
    """
    if stores_times(stream.container.format.name):
        average, base = stream.average_rate, stream.base_rate
        if average and base and average > _MOST_OVER_BASE * base:
            return base  # of DV libav gives the rate of ticks
        return average or stream.guessed_rate or None
    # libav's guess is twice the rate for some H.264, and the tick rate for MPEG-4.
    said = (stream.codec_context.framerate, stream.guessed_rate)
    return min((rate for rate in said if rate), default=None)


def most_step_ticks(container_name: str) -> int | None:
    """Return the largest step from time to time that is one, None if any may be.

    MPEG clocks have 33 bits. libav takes a time well before the first one of the file, as that of
    another recording may be, for one after the clock has begun again, hours later.
    """
    return _MPEG_HOUR if container_name in ("mpegts", "mpeg") else None


def frame_step_ticks(stream: VideoStream) -> Fraction:
    """Return the ticks per frame at the average rate."""
    return 1 / ((frame_rate(stream) or FALLBACK_RATE) * ticks_of(stream))


def tagged_end_s(stream: VideoStream) -> float | None:
    """Return the end of the stream from Matroska's tags, s; a truncated file ends before it."""
    for key, value in stream.metadata.items():
        if key.upper() == "DURATION" and (parts := _TAGGED_TIME.fullmatch(value)):
            return int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3])
    return None


def clockwise_rotation_deg(picture: av.VideoFrame) -> int:
    """Return the clockwise rotation that a player applies to `picture`: 0, 90, 180 or 270.

    Angles of the display matrix are rounded to the nearest of the four; libav's are
    counter-clockwise.
    """
    return round(-picture.rotation / 90) * 90 % 360


def is_photo(container: InputContainer) -> bool:
    """Return whether a file contains a single picture."""
    name = container.format.name
    return name.endswith("_pipe") or (name == "image2" and not opened_numbered(container))


def describe_video(
    container: InputContainer, stream: VideoStream, first: av.VideoFrame
) -> VideoInfo:
    """Describe a stream by its container and its first decoded picture."""
    context = stream.codec_context
    time_base = ticks_of(stream)
    duration_s = stream.duration * time_base if stream.duration else None
    if duration_s is None and container.duration:
        duration_s = Fraction(container.duration, 1_000_000)
    return VideoInfo(
        width_px=first.width,
        height_px=first.height,
        pix_fmt=first.format.name,
        time_base=time_base,
        average_rate=frame_rate(stream),
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation_deg=clockwise_rotation_deg(first),
        color=_color_tags(stream, first),
        codec_name=context.codec.canonical_name,
        bit_depth=max(component.bits for component in first.format.components),
        profile=context.profile,
        reorder_frames=context.reorder_depth,
        interlaced=first.interlaced_frame or context.field_order > _PROGRESSIVE,
        top_field_first=top_field_first(first, context.field_order),
        duration_s=None if duration_s is None else float(duration_s),
        frame_count_hint=stream.frames or None,
        hdr=read_hdr_facts(first),
        still=is_photo(container),
    )


def top_field_first(picture: av.VideoFrame, field_order: int = 0) -> bool:
    """Return the field order of the picture if it has one, else that of the container.

    Args:
        picture: a decoded picture.
        field_order: AVFieldOrder of the stream, 0 if unknown.
    """
    if not picture.interlaced_frame:
        return field_order not in _BOTTOM_FIRST
    # PyAV has no attribute for it, but libav's `select` filter can test it.
    only_top_first = PictureFilter(
        picture,
        picture.time_base or Fraction(1, 90_000),
        lambda graph: [graph.add("select", r"eq(interlace_type\,TOPFIRST)")],
    )
    return bool(only_top_first.push(picture))


def _color_tags(stream: VideoStream, first: av.VideoFrame) -> ColorTags:
    context = stream.codec_context

    def known(of_stream: int, of_picture: int) -> int:
        return of_picture if of_picture != _UNSPECIFIED else of_stream

    return ColorTags(
        matrix=known(context.colorspace, first.colorspace),
        # JPEGs have full range, but libav does not say so for gray ones.
        range=first.color_range or context.color_range or _RANGE_OF.get(context.codec.name, 0),
        primaries=known(context.color_primaries, first.color_primaries),
        transfer=known(context.color_trc, first.color_trc),
        chroma=chroma_location(stream),
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
