"""What becomes of each stream beside the video: copied, made anew, converted or left out.

A muxer is asked whether it takes a stream as it is. What it does not take is converted, without
loss where the container has such a codec, and left out only if that fails too; the user is told of
all that is not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from av.audio import AudioStream
from av.stream import Stream

from nodes.encode.encoders import EncodeConfig, OtherStreamsMode
from nodes.errors import NodeConfigError
from nodes.media.open import codec_name
from pipeline.containers.convert import converts, lossless_codec, suggested_codec
from pipeline.containers.holding import fits, is_cover, made_anew
from pipeline.containers.sound_scan import SoundScan

__all__ = ["StreamPlan", "StreamPolicy", "check_conversions", "plan_stream"]

_OPTIONAL_TYPES: Final = frozenset({"data", "attachment", "unknown"})

_SHOWN_TYPES: Final = frozenset({"video", "attachment"})

_QUICKTIME: Final = frozenset({"mov", "mp4"})
"""Containers that count the samples of PCM sound and store no times of it."""


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """What the user wants of the streams beside the video, and what is known of their sound."""

    convert: Mapping[int, str] = field(default_factory=dict[int, str])
    """Numbers of streams that are converted in any case, and to which encoder."""
    mode: OtherStreamsMode = "keep"
    """See `nodes.encode.encoders.EncodeConfig.other_streams`."""
    sounds: Mapping[int, SoundScan] | None = None
    """Of each stream of sound; None if the source can be read only once."""
    pictures: bool = True
    """See `nodes.encode.encoders.EncodeConfig.other_pictures`."""

    @classmethod
    def of(
        cls, config: EncodeConfig, sounds: Mapping[int, SoundScan] | None = None
    ) -> StreamPolicy:
        """Return the policy of an encoder's settings."""
        return cls(config.convert, config.other_streams, sounds, config.other_pictures)

    def may_have_gaps(self, stream: Stream) -> bool:
        """Say whether a sound does not go on from packet to packet, or that is not known."""
        return self.sounds is None or (
            stream.index in self.sounds and self.sounds[stream.index].has_gaps
        )


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What becomes of one stream."""

    action: Literal["copy", "made_anew", "convert", "leave_out"]
    codec: str | None = None
    """The encoder it is converted with."""
    lossless: bool = True
    """Whether a conversion keeps the samples."""
    asked: bool = False
    """Whether the user or the graph asked for it."""
    why: str = ""
    """Why it is not copied."""

    @property
    def cost(self) -> int:
        """How bad it is, for the choice between containers."""
        if self.asked:
            return 0
        return {"leave_out": 10, "convert": 1 if self.lossless else 3}.get(self.action, 0)


def plan_stream(
    stream: Stream, container: str, policy: StreamPolicy, shown: str | None = None
) -> StreamPlan:
    """Decide what becomes of a stream beside the video.

    Args:
        stream: of the open source.
        container: libav's name of the muxer.
        policy: what is wanted.
        shown: how the container is called in a reason, if not so.
    """
    if not policy.pictures and stream.type in _SHOWN_TYPES:
        why = f"{_named(stream)} may show what is hidden (encode.other_pictures is false)"
        return StreamPlan("leave_out", asked=True, why=why)
    if codec := policy.convert.get(stream.index):
        return StreamPlan("convert", codec, asked=True)
    why = _why_not_copied(stream, container, policy, shown or container)
    if why is None:
        return StreamPlan("copy")
    if made_anew(stream, container):
        return StreamPlan("made_anew")
    return _converted(stream, container, policy, why)


def _converted(stream: Stream, container: str, policy: StreamPolicy, why: str) -> StreamPlan:
    if policy.mode == "keep":
        if codec := lossless_codec(stream, container):
            return StreamPlan("convert", codec, why=why)
        if codec := suggested_codec(stream, container):
            return StreamPlan("convert", codec, lossless=False, why=why)
    return StreamPlan("leave_out", why=why)


def _named(stream: Stream) -> str:
    return f"{stream.type or 'unknown'} stream {stream.index} ({codec_name(stream)})"


def _why_not_copied(stream: Stream, container: str, policy: StreamPolicy, shown: str) -> str | None:
    name = _named(stream)
    context = getattr(stream, "codec_context", None)
    if isinstance(stream, AudioStream) and context is not None and not context.sample_rate:
        return f"nothing is in {name}, which the source announces"
    if not fits(stream, container):
        if container == "matroska" and isinstance(stream, AudioStream) and context is not None:
            # It could by the number that the codec has in WAV, but PyAV does not ask for that.
            return f"{name} cannot be written to {shown} by PyAV"
        return f"{shown} cannot hold {name}"
    is_pcm = isinstance(stream, AudioStream) and codec_name(stream).startswith("pcm_")
    if is_pcm and container in _QUICKTIME and policy.may_have_gaps(stream):
        return f"{shown} cannot hold the gaps of {name}"
    return None


def is_optional(stream: Stream) -> bool:
    """Say whether a stream is left out without asking: data, attachments, covers."""
    return stream.type in {None, *_OPTIONAL_TYPES} or is_cover(stream)


def check_conversions(
    streams: Sequence[Stream], convert: Mapping[int, str], container: str, shown: str | None = None
) -> None:
    """Make sure that streams can be converted as it is asked.

    Args:
        streams: those of the source beside the video.
        convert: their numbers, and to what.
        container: libav's name of the muxer.
        shown: how the container is called in an error, if not so.

    Raises:
        NodeConfigError: one is not there or cannot become that.
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
            better = lossless_codec(stream, container) or suggested_codec(stream, container)
            raise NodeConfigError(
                f"encode.convert: {stream.type} stream {index} ({codec_name(stream)}) cannot become"
                f" {codec} in {shown or container}" + (f"; try {better}" if better else "")
            )
