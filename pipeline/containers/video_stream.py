"""Adding the restored video to an output, and what of the source's metadata the output gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from av.container import OutputContainer
from av.video import VideoStream

from nodes.media.reader import first_picture
from nodes.media.side_data import display_matrix
from nodes.types import VideoInfo
from pipeline.pieces.parameter_sets import JoinedHeader

__all__ = ["add_video", "facts_of", "first_display_matrix", "kept_metadata", "quicktime_options"]

_CONTAINER_KEYS: Final = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "software"}
)
"""Metadata keys about the source's file, not its content, which are not copied; in lower case."""

_MOV_KEYS: Final = frozenset(
    """album album_artist artist comment composer copyright creation_time date description
    episode_id genre grouping location location-eng lyrics network show synopsis title
    track handler_name timecode""".split()  # noqa: SIM905 - easier to read
)
"""Metadata keys that MP4 and QuickTime store as standard atoms, which all players read."""

_MOST_TIMECODE_RATE: Final = 255
"""Most pictures a second that QuickTime's timecode can number."""

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
    arranged: bool = False,
    joined: JoinedHeader | None = None,
) -> VideoStream:
    """Add the restored video to an output, with the source's metadata of the video stream.

    Args:
        output: the output, before its header is written.
        encoded: the stream of an encoded segment; that of the source if packets of it are copied.
        original: the video stream of the source.
        info: the encoded video.
        container: libav's name of the output's muxer.
        matrix: see `first_display_matrix`.
        arranged: whether the source's header says of an arrangement that `encoded` has, too; see
            `pipeline.containers.arrangement`.
        joined: the header of copied and encoded packets together, None if there is only one kind.
    """
    stream = output.add_stream_from_template(original if arranged else encoded, opaque=True)
    stream.time_base = info.time_base
    context = stream.codec_context
    if arranged:
        # PyAV can hand on side data only together with all other parameters of a stream.
        own = encoded.codec_context
        context.width, context.height = own.width, own.height
        context.pix_fmt, context.extradata = own.pix_fmt, own.extradata
    # NUT stores none of these, but some codecs do in their packets.
    context.colorspace, context.color_range = info.color.matrix, info.color.range
    context.color_primaries, context.color_trc = info.color.primaries, info.color.transfer
    context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.interlaced:
        context.field_order = 2 if info.top_field_first else 3
    if info.average_rate is not None:
        context.framerate = info.average_rate
    if joined is not None and joined.header:
        context.extradata = joined.header
    if container in ("mp4", "mov"):
        # Apple's players take only hvc1, which says that no packet has parameter sets.
        own, hevc = encoded.codec_context.codec_tag, encoded.codec.canonical_name == "hevc"
        in_band = own in ("hev1", "avc3") or joined is not None
        if hevc:
            context.codec_tag = "hev1" if in_band else "hvc1"
        elif own == "avc3":
            context.codec_tag = own
    stream.set_display_matrix(matrix)
    facts = facts_of(original)
    if not _holds_timecode(container, info):
        facts.pop("timecode", None)
    stream.metadata.update(facts)
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


def kept_metadata(
    source: Mapping[str, str], comment: str | None, container: str, info: VideoInfo
) -> tuple[dict[str, str], list[str]]:
    """Return the metadata of an output, and messages about what it cannot hold.

    Args:
        source: metadata of the whole source.
        comment: is added to the source's own, once.
        container: libav's name of the output's muxer.
        info: the encoded video.
    """
    kept = {key: value for key, value in source.items() if key.lower() not in _CONTAINER_KEYS}
    lost: list[str] = []
    if not _holds_timecode(container, info):
        gone = [key for key in kept if key.lower() == "timecode"]
        lost += [f"timecode {kept.pop(key)} left out: too many pictures a second" for key in gone]
    if comment is None:
        return kept, lost
    key = next((key for key in kept if key.lower() == "comment"), "comment")
    # What was restored twice says so once.
    said = [text for text in (kept.get(key), comment) if text]
    return kept | {key: said[0] if said[-1] in said[0] else "; ".join(said)}, lost


def _holds_timecode(container: str, info: VideoInfo) -> bool:
    """Return whether a muxer can write a timecode at the video's rate."""
    rate = info.average_rate
    return container not in ("mp4", "mov") or rate is None or rate <= _MOST_TIMECODE_RATE


def quicktime_options(keys: Iterable[str]) -> dict[str, str]:
    """Return the muxer's options for MP4 and QuickTime with metadata of these keys."""
    standard = {key.lower() for key in keys} <= _MOV_KEYS
    # libav counts the boxes of 360-degree, stereo and Dolby Vision video as unofficial.
    return {
        "movflags": "+faststart" + ("" if standard else "+use_metadata_tags"),
        "strict": "unofficial",
    }
