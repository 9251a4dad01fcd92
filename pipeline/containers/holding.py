"""Whether a container holds a stream of the source as it is, and how it is put there."""

from __future__ import annotations

import io
from typing import Final

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import AttachmentStream, Disposition, Stream

from nodes.media.open import codec_name

__all__ = ["copy_stream", "fits", "is_cover", "made_anew"]

_TS_CODECS: Final = frozenset(
    """aac aac_latm ac3 dts dvb_subtitle dvb_teletext eac3 hdmv_pgs_subtitle mp1 mp2 mp3 opus
    pcm_bluray s302m truehd klv scte_35 timed_id3 epg
    cavs h264 hevc jpeg2000 mpeg1video mpeg2video mpeg4 vc1 vvc""".split()  # noqa: SIM905 - easier to read
)
"""What MPEG-TS has numbers for; libav writes the rest too, as data that nothing can read."""

_NOT_COPIED: Final = frozenset({"unknown", "bin_data"})
"""Names of data streams that libav does not know how to write."""


def fits(stream: Stream, container: str) -> bool:
    """Say whether a muxer takes a stream of the source as it is, by asking it.

    Args:
        stream: of an open source.
        container: libav's name of the muxer.
    """
    if not _allowed(stream, container):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            copy_stream(trial, stream)
            trial.start_encoding()
    except (FFmpegError, ValueError, OSError):
        return False
    return True


def _allowed(stream: Stream, container: str) -> bool:
    """Say no where the muxer would take a stream, and write what nothing can read."""
    if isinstance(stream, AttachmentStream):
        return container == "matroska"
    if is_cover(stream):
        return container in ("mp4", "matroska")
    if container == "yuv4mpegpipe":
        return False  # one stream of raw pictures is all that it holds
    if container == "mpegts":
        return codec_name(stream) in _TS_CODECS
    return stream.type != "data" or (
        container != "matroska" and codec_name(stream) not in _NOT_COPIED
    )


def made_anew(stream: Stream, container: str) -> bool:
    """Say whether the muxer makes such a stream itself, from chapters and timecode metadata."""
    is_ours = codec_name(stream) == "bin_data" or "timecode" in stream.metadata
    return container in ("mp4", "mov") and stream.type == "data" and is_ours


def copy_stream(output: OutputContainer, stream: Stream) -> Stream:
    """Add to `output` a stream for the unchanged packets of `stream`.

    Raises:
        ValueError: the container does not support the codec, or the codec is unknown.
    """
    if isinstance(stream, AttachmentStream):
        mime = stream.mimetype or "application/octet-stream"
        copy: Stream = output.add_attachment(stream.name or "attachment", mime, stream.data)
    else:
        copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


def is_cover(stream: Stream) -> bool:
    """Say whether a stream is a cover picture, not moving ones."""
    return bool(stream.disposition & Disposition.attached_pic)
