"""The streams of an output that are more than a copy: the restored video, and covers."""

from __future__ import annotations

from typing import Final

from av.container import OutputContainer
from av.stream import Stream
from av.video import VideoStream

from nodes.media.open import codec_name, open_media
from nodes.media.reader import PictureReader
from nodes.media.side_data import display_matrix
from nodes.types import VideoInfo

__all__ = ["add_video", "attach_cover", "first_display_matrix"]

_STATISTICS: Final = ("bps", "duration", "number_of_", "_statistics", "encoder")
"""Beginnings of metadata keys that described the source's encoding of the video."""


def add_video(
    output: OutputContainer,
    encoded: VideoStream,
    original: VideoStream,
    info: VideoInfo,
    *,
    container: str,
    matrix: tuple[int, ...] | None,
) -> VideoStream:
    """Add the restored video to an output, with all that the source says of its own.

    Args:
        output: its header is not written yet.
        encoded: the video as it was encoded.
        original: the source's stream.
        info: the encoded video.
        container: libav's name of the output's muxer.
        matrix: see `first_display_matrix`.
    """
    stream = output.add_stream_from_template(encoded, opaque=True)
    stream.time_base = info.time_base
    context = stream.codec_context
    # NUT keeps none of these; some codecs do inside their packets.
    context.colorspace, context.color_range = info.color.matrix, info.color.range
    context.color_primaries, context.color_trc = info.color.primaries, info.color.transfer
    context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.interlaced:
        context.field_order = 2 if info.top_field_first else 3
    if info.average_rate is not None:
        context.framerate = info.average_rate
    if container in ("mp4", "mov") and encoded.codec.canonical_name == "hevc":
        context.codec_tag = "hvc1"  # Apple's players take no other
    stream.set_display_matrix(matrix)
    stream.metadata.update(
        (key, value)
        for key, value in original.metadata.items()
        if not key.lower().startswith(_STATISTICS)
    )
    stream.disposition = original.disposition
    return stream


def attach_cover(output: OutputContainer, stream: Stream, source: str) -> Stream:
    """Add a cover to a Matroska file, which keeps it as an attached file with the header.

    Args:
        output: its header is not written yet.
        stream: the source's.
        source: path or URL of the source, which is opened again.
    """
    with open_media(source) as container:
        packets = container.demux(container.streams[stream.index])
        content = next((bytes(packet) for packet in packets if packet.size), b"")
    kind = "png" if codec_name(stream) == "png" else "jpeg"
    name = stream.metadata.get("filename", f"cover.{kind}")
    return output.add_attachment(name, f"image/{kind}", content)


def first_display_matrix(source: str) -> tuple[int, ...] | None:
    """Return the nine numbers of the source's display matrix, None when it has none."""
    reader = PictureReader(source, 1, lambda _what, _pts: None)
    try:
        first = next(reader.pictures(), None)
        return None if first is None else display_matrix(first)
    finally:
        reader.close()
