"""Adding the restored video to an output, with the source's metadata of the video stream."""

from __future__ import annotations

from typing import Final

from av.container import OutputContainer
from av.video import VideoStream

from nodes.media.reader import first_picture
from nodes.media.side_data import display_matrix
from nodes.types import VideoInfo

__all__ = ["add_video", "facts_of", "first_display_matrix"]

_OF_THE_ENCODING: Final = (
    "bps",
    "duration",
    "number_of_",
    "_statistics",
    "encoder",
    "alpha_mode",
)
"""Beginnings of metadata keys that described the source's encoding of the video: its statistics,
and that it has a second picture for alpha, which no output has."""


def add_video(
    output: OutputContainer,
    encoded: VideoStream,
    original: VideoStream,
    info: VideoInfo,
    *,
    container: str,
    matrix: tuple[int, ...] | None,
) -> VideoStream:
    """Add the restored video to an output, with the source's metadata of the video stream.

    Args:
        output: the output, before its header is written.
        encoded: the stream of an encoded segment.
        original: the video stream of the source.
        info: the encoded video.
        container: libav's name of the output's muxer.
        matrix: see `first_display_matrix`.
    """
    stream = output.add_stream_from_template(encoded, opaque=True)
    stream.time_base = info.time_base
    context = stream.codec_context
    # NUT stores none of these, but some codecs do in their packets.
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
    stream.metadata.update(facts_of(original))
    stream.disposition = original.disposition
    return stream


def facts_of(original: VideoStream) -> dict[str, str]:
    """Return what the source's metadata says of the video that still holds once it is encoded."""
    return {
        key: value
        for key, value in original.metadata.items()
        if not key.lower().startswith(_OF_THE_ENCODING)
    }


def first_display_matrix(source: str, video: int | None = None) -> tuple[int, ...] | None:
    """Return the nine numbers of the source's display matrix, None if it has none."""
    with first_picture(source, video) as (_, first):
        return None if first is None else display_matrix(first)
