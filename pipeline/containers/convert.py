"""Converting a sound or subtitle stream to another codec.

Sound is decoded, brought to what the encoder takes, and made continuous: gaps of more than a tenth
of a second are filled with silence, what overlaps is cut, so that sound stays with the picture.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, cast

import av
from av.audio import AudioStream
from av.audio.format import AudioFormat
from av.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from nodes.media.open import codec_name
from pipeline.containers.continuous_sound import ContinuousSound

__all__ = ["StreamConverter", "converts", "lossless_codec", "suggested_codec"]

log = logging.getLogger(__name__)

_BITS_A_SAMPLE: Final = 4
_MOST_BITS_A_CHANNEL: Final = 96_000
"""Bit rate of lossy sound, bits per second: about twice what is needed for good quality."""

_SUGGESTED: Final = {
    "audio": {"mp4": "aac", "mov": "aac", "mpegts": "aac", "webm": "libopus", "nut": "flac"},
    "subtitle": {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "srt"},
}

_LOSSLESS: Final = {"matroska": "flac", "nut": "flac", "mov": "alac", "mp4": "alac"}
"""Container -> the codec of sound without loss that most of its players know."""

_SAMPLES: Final = {"u8": "s16", "s16": "s16"}
"""Samples of a source -> those that a codec without loss holds; all others become 24 bits of 32."""

_LAYOUTS: Final = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}
"""Usual channel layouts, by number of channels."""

_TEXTS: Final = frozenset({"ass", "mov_text", "ssa", "subrip", "text", "webvtt"})
"""Codecs of text subtitles."""


def suggested_codec(stream: Stream, container: str) -> str | None:
    """Return the best codec for converting a stream for a container, None if there is none."""
    codec = _SUGGESTED.get(stream.type or "", {}).get(container)
    if stream.type == "subtitle" and codec_name(stream) not in _TEXTS:
        return None
    return codec if codec and converts(stream, codec, container) else None


def lossless_codec(stream: Stream, container: str) -> str | None:
    """Return the codec without loss that a sound is converted to, None if there is none.

    Sound that a container holds but for its gaps (PCM in QuickTime) stays in its own codec.
    """
    own = codec_name(stream)
    if not isinstance(stream, AudioStream):
        return None
    if container == "mov" and own.startswith("pcm_") and converts(stream, own, container):
        return own
    codec = _LOSSLESS.get(container)
    return codec if codec and converts(stream, codec, container) else None


def converts(stream: Stream, codec: str, container: str) -> bool:
    """Return whether a stream can be converted to a codec in a container, by trying it."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            StreamConverter(trial, stream, codec)
            trial.start_encoding()
    except (FFmpegError, ValueError, OSError):
        return False
    return True


class StreamConverter:
    """Converts the packets of a sound or subtitle stream to another codec."""

    def __init__(self, output: OutputContainer, stream: Stream, codec: str) -> None:
        """Add the converted stream to `output`.

        Args:
            output: the output, before its header is written.
            stream: a sound or subtitle stream of the open source.
            codec: libav's name of the encoder.

        Raises:
            ValueError: the codec is unknown, of another kind, or not supported by the container; or
                the stream cannot be decoded.
            FFmpegError: the encoder does not support the sample rate or channels.
        """
        if Codec(codec, "w").type != stream.type or stream.type not in _SUGGESTED:
            raise ValueError(f"{codec} does not encode {stream.type}")
        # PyAV's codec context is None where libav has no decoder, unlike its type stubs say.
        if getattr(stream, "codec_context", None) is None:
            raise ValueError(f"stream {stream.index} is in a codec that nothing here can decode")
        self._source = stream
        self._sound: ContinuousSound | None = None
        if isinstance(stream, AudioStream):
            self.stream: Stream = _add_sound(output, stream, codec)
        else:
            self.stream = _add_text(output, cast("SubtitleStream", stream), codec)
        self.stream.metadata.update(stream.metadata)
        self.stream.disposition = stream.disposition

    def packets(self, packet: Packet[Stream] | None) -> Iterator[Packet[Stream]]:
        """Yield what becomes of a packet; with None, flush the encoder.

        All of it has to be taken before the next packet.
        """
        if isinstance(self.stream, SubtitleStream):
            text = None if packet is None else self._text(packet)
            if text is not None:
                yield text
            return
        source = cast("AudioStream", self._source)
        try:
            frames = source.codec_context.decode(cast("Packet[AudioStream] | None", packet))
        except FFmpegError as error:
            log.warning("stream %d is damaged: %s", source.index, error.strerror)
            frames = []
        sound = cast("AudioStream", self.stream)
        if self._sound is None:
            # AVI stores no times: what libav makes of some recorders' headers is far off.
            counts = source.container.format.name == "avi"
            self._sound = ContinuousSound(sound.codec_context, counts=counts)
        for frame in frames:
            for piece in self._sound.push(frame):
                yield from cast("list[Packet[Stream]]", sound.encode(piece))
        if packet is None:
            for piece in (*self._sound.end(), None):
                yield from cast("list[Packet[Stream]]", sound.encode(piece))

    def _text(self, packet: Packet[Stream]) -> Packet[Stream] | None:
        shown = cast("SubtitleStream", self._source).codec_context.decode2(packet)
        if shown is None or not len(shown):
            return None
        context = cast("SubtitleStream", self.stream).codec_context
        text = cast("Packet[Stream]", context.encode_subtitle(shown))
        text.pts, text.dts, text.duration = packet.pts, packet.pts, packet.duration
        text.time_base, text.stream = packet.time_base, self.stream
        return text


def _add_sound(output: OutputContainer, stream: AudioStream, codec: str) -> AudioStream:
    context, rates = stream.codec_context, Codec(codec, "w").audio_rates
    if context.layout.name.endswith("channels"):
        # Some files have a number of channels but no layout.
        context.layout = _LAYOUTS.get(context.layout.nb_channels, context.layout)
    rate_hz = context.sample_rate
    if rates and rate_hz not in rates:
        rate_hz = min((r for r in rates if r > rate_hz), default=max(rates))
    made = output.add_stream(codec, rate=rate_hz)
    assert isinstance(made, AudioStream)  # noqa: S101 - its type was checked
    made.codec_context.layout = context.layout
    if codec in _LOSSLESS.values():
        made.codec_context.format = _held_samples(codec, context.format)
    bits_a_channel = min(_MOST_BITS_A_CHANNEL, _BITS_A_SAMPLE * rate_hz)
    made.codec_context.bit_rate = bits_a_channel * context.layout.nb_channels
    made.codec_context.open()
    return made


def _held_samples(codec: str, samples: AudioFormat | None) -> str:
    """Return the format in which a codec without loss takes samples."""
    packed = _SAMPLES.get(samples.packed.name if samples else "", "s32")
    offered = {form.packed.name: form.name for form in Codec(codec, "w").audio_formats or ()}
    return offered[packed]


def _add_text(output: OutputContainer, stream: SubtitleStream, codec: str) -> SubtitleStream:
    stream.codec_context.open(strict=False)
    made = cast("SubtitleStream", output.add_stream(codec))
    made.codec_context.subtitle_header = stream.codec_context.subtitle_header
    made.time_base = stream.time_base or Fraction(1, 1000)
    made.codec_context.time_base = made.time_base
    made.codec_context.open()
    return made
