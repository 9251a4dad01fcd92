"""Checking what a container can hold, before the run starts."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import AttachmentStream, Disposition, Stream

from nodes.encode.encoder_table import containers_of
from nodes.errors import NodeConfigError
from nodes.media.open import clockwise_rotation_deg, codec_name, open_media, video_stream
from nodes.media.reader import first_picture
from pipeline.containers.convert import converts, suggested_codec

__all__ = [
    "Problem",
    "check_conversions",
    "check_target",
    "container_format",
    "copy_stream",
    "default_suffix",
    "fits",
    "is_cover",
    "made_anew",
]

_NONE: Final[Mapping[int, str]] = {}

_CHOICES: Final = (".mkv", ".mov", ".mp4")
"""Containers to suggest, best first: Matroska supports most codecs, QuickTime those of phones."""

_FORMATS: Final[Mapping[str, str]] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".nut": "nut",
}
"""libav's muxers, by suffix. Without AVI, which stores no presentation times."""

_TS_CODECS: Final = frozenset(
    """aac aac_latm ac3 dts dvb_subtitle dvb_teletext eac3 hdmv_pgs_subtitle mp1 mp2 mp3 opus
    pcm_bluray s302m truehd klv scte_35 timed_id3 epg""".split()  # noqa: SIM905 - easier to read
)
"""Codecs with a stream type in MPEG-TS; libav writes others as data that nothing can read."""

_UNTURNED: Final = frozenset({"mpegts", "nut"})
"""Containers that do not store a display matrix."""

_NOT_COPIED: Final = frozenset({"unknown", "bin_data"})
"""Codec names of data streams that libav cannot write."""

_OPTIONAL_TYPES: Final = frozenset({"data", "attachment", "unknown"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the source that the target cannot hold."""

    stream: int | None
    """Index of the source's stream, None for the restored video."""
    what: str
    """What cannot be held, and if needed why."""
    advice: str
    """What the user can do about it, or what is done."""
    fatal: bool = True
    """Whether the run is refused; not for timecode and other data, covers and attachments."""

    @property
    def message(self) -> str:
        """The problem and the advice in one line."""
        return f"{self.what}: {self.advice}"


def container_format(path: PurePath) -> str | None:
    """Return libav's name of the muxer for a file name, None if the suffix is not supported."""
    return _FORMATS.get(path.suffix.lower())


def default_suffix(
    source: str, video_codec: str, convert: Mapping[int, str] = _NONE
) -> tuple[str, str | None]:
    """Choose the container of an output whose name the user did not choose.

    Args:
        source: path or URL of the source.
        video_codec: libav's name of the codec of the encoded video.
        convert: codecs of the streams to convert, by stream index.

    Returns:
        The suffix with its dot: that of the source if it can hold everything, else the first of
        `.mkv`, `.mov` and `.mp4` that can; and the reason for a change, or None.

    Raises:
        MediaError: the source cannot be opened.
    """
    suffix = PurePath(source).suffix
    wrong = _fatal(source, suffix, video_codec, convert)
    if not wrong:
        return suffix, None
    others = [other for other in _CHOICES if not _fatal(source, other, video_codec, convert)]
    # If no container can hold everything, `check_target` reports the problem.
    chosen = others[0] if others else _CHOICES[0]
    return chosen, f"{chosen} chosen, as " + "; ".join(problem.what for problem in wrong)


def check_target(
    source: str, target: PurePath, video_codec: str, convert: Mapping[int, str] = _NONE
) -> list[Problem]:
    """Return the parts of the source that the target's container cannot hold.

    Args:
        source: path or URL of the source.
        target: the output; only its suffix matters.
        video_codec: libav's name of the codec of the encoded video.
        convert: streams that are converted, and to what.

    Raises:
        MediaError: the source cannot be opened or holds no video.
        NodeConfigError: a stream in `convert` does not exist or cannot be converted.
    """
    name = container_format(target)
    if name is None:
        return [_unwritable(target)]
    problems: list[Problem] = []
    holders = containers_of(video_codec)
    if name not in holders:
        others = [suffix for suffix in _CHOICES if _FORMATS[suffix] in holders]
        advice = f"{_choose(others)}, or another encode.codec"
        problems.append(Problem(None, f"{target.suffix} cannot hold {video_codec} video", advice))
    with open_media(source) as container:
        main = video_stream(container, source)
        others = [stream for stream in container.streams if stream is not main]
        check_conversions(others, convert, name, target.suffix)
        problems += [
            _problem(stream, target)
            for stream in others
            if stream.index not in convert
            and not fits(stream, name)
            and not made_anew(stream, name)
        ]
    if name in _UNTURNED and (turned_deg := _rotation_deg(source)):
        what = f"{target.suffix} cannot say that the video is to be turned by {turned_deg} degrees"
        problems.append(Problem(None, what, _choose(list(_CHOICES))))
    return problems


def fits(stream: Stream, container: str) -> bool:
    """Return whether a muxer accepts a stream of the source unchanged, by trying it.

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
    """Return False for streams that the muxer accepts but writes in an unreadable way."""
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
    """Return whether the muxer creates this stream itself, from chapters or timecode metadata."""
    is_ours = codec_name(stream) == "bin_data" or "timecode" in stream.metadata
    return container in ("mp4", "mov") and stream.type == "data" and is_ours


def copy_stream(output: OutputContainer, stream: Stream) -> Stream:
    """Add a stream to `output` for copying the packets of `stream`.

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


def _rotation_deg(source: str) -> int:
    with first_picture(source) as (_, first):
        return clockwise_rotation_deg(first) if first is not None else 0


def check_conversions(
    streams: Sequence[Stream], convert: Mapping[int, str], container: str, shown: str | None = None
) -> None:
    """Check that streams can be converted.

    Args:
        streams: the streams of the source except the video.
        convert: codecs of the streams to convert, by stream index.
        container: libav's name of the muxer.
        shown: name of the container in error messages, if different.

    Raises:
        NodeConfigError: a stream does not exist or cannot be converted.
    """
    by_index = {stream.index: stream for stream in streams}
    for index, codec in convert.items():
        if index not in by_index:
            numbers = ", ".join(f"{i} ({s.type})" for i, s in by_index.items()) or "none"
            raise NodeConfigError(
                f"encode.convert: there is no stream {index} beside the video; expected: {numbers}"
            )
        stream = by_index[index]
        if not converts(stream, codec, container):
            better = suggested_codec(stream, container)
            raise NodeConfigError(
                f"encode.convert: {stream.type} stream {index} ({codec_name(stream)}) cannot become"
                f" {codec} in {shown or container}" + (f"; try {better}" if better else "")
            )


def _fatal(source: str, suffix: str, video_codec: str, convert: Mapping[int, str]) -> list[Problem]:
    target = PurePath(f"x{suffix}")
    return [p for p in check_target(source, target, video_codec, convert) if p.fatal]


def is_cover(stream: Stream) -> bool:
    """Return whether a video stream is a cover picture."""
    return bool(stream.disposition & Disposition.attached_pic)


def _problem(stream: Stream, target: PurePath) -> Problem:
    kind = stream.type or "unknown"
    what = f"{target.suffix} cannot hold {kind} stream {stream.index} ({codec_name(stream)})"
    if kind in _OPTIONAL_TYPES or is_cover(stream):
        return Problem(stream.index, what, "it is left out", fatal=False)
    holders = [suffix for suffix in _CHOICES if fits(stream, _FORMATS[suffix])]
    codec = suggested_codec(stream, _FORMATS[target.suffix.lower()])
    other = f"or --set encode.convert.{stream.index}={codec} to convert that stream alone"
    return Problem(
        stream.index,
        what,
        f"{_choose(holders)}, " + (other if codec else "or convert that stream first"),
    )


def _choose(suffixes: list[str]) -> str:
    if not suffixes:
        return "nothing written here can"
    return f"choose an output ending in {' or '.join(suffixes)}"


def _unwritable(target: PurePath) -> Problem:
    what = (
        "AVI stores no presentation times, the video's would be lost"
        if target.suffix.lower() == ".avi"
        else f"{target.suffix or 'a name without suffix'} is no container written here"
    )
    return Problem(None, what, f"choose an output ending in {', '.join(_FORMATS)}")
