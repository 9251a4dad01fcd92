"""The table of encoders. To add an encoder, add a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from nodes.errors import NodeConfigError, did_you_mean
from nodes.media.hdr import HdrWords

__all__ = [
    "ENCODERS",
    "FALLBACK",
    "OWN_SET",
    "Encoder",
    "containers_of",
    "find_encoder",
    "hdr_encoders",
    "libav_encoder",
]


OWN_SET: Final = 15
"""Number of the encoder's parameter sets in a stream that also has those of the source, whose
encoders begin to count at 0."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """The properties of one of libav's encoders; the defaults apply to most."""

    name: str
    """libav's name, such as `libx264`."""
    crf: float | None = None
    """Default quality on the encoder's scale, None if it has no constant quality."""
    preset: str | None = None
    """Default preset, None for the encoder's own default."""
    crf_option: str = "crf"
    preset_option: str = "preset"
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further default options."""
    lossless: Mapping[str, str] | None = None
    """Options for lossless coding: empty if it is always lossless, None if it never is."""
    profiles: Mapping[str, str] = field(default_factory=dict[str, str])
    """Value of the option `profile`, by chroma sampling (`422`, `444`)."""
    max_bits: int | None = None
    """Most bits per sample. With more the first successor is used, even if this one was configured.
    """
    whole_chroma: bool = False
    """Whether it refuses a width or height which the chroma planes do not divide."""
    max_px: tuple[int, int] = (65_534, 65_534)
    """The largest width and height that it takes, as measured by opening it."""
    indivisible_px: int | None = None
    """A number of which neither width nor height may be a multiple."""
    interlaced: bool = False
    """Whether it supports interlaced coding."""
    zero_latency: Mapping[str, str] = field(default_factory=dict[str, str])
    """Options with which it returns each picture before it gets the next one."""
    words_option: str = ""
    """Its option with private parameters, `key=value:key=value`, for the two fields below."""
    thread_words: Callable[[int], str] | None = None
    """Returns the private parameters for a number of threads, if it has its own thread pool."""
    lookahead_option: str = ""
    """Its option for the number of pictures that it looks ahead, each of which it keeps twice."""
    short_lookahead: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options where that number is reduced for the memory's sake."""
    hdr_words: HdrWords | None = None
    """Its private parameters for HDR10 metadata, None if it does not support it."""
    own_sets: str = ""
    """Its private parameter that numbers its parameter sets `OWN_SET`."""
    in_order: Mapping[str, str] = field(default_factory=dict[str, str])
    """Options with which it stores pictures in the order in which they are shown."""
    captions: bool = False
    """Whether it writes closed captions of the pictures."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables to set before it is opened, unless they are set."""
    needs: str = ""
    """Requirement of the machine, for error messages."""
    segment_muxer: str = "nut"
    """libav's muxer for segments: NUT supports all time bases, and all codecs except ProRes."""
    containers: frozenset[str] = frozenset()
    """libav's muxers that support its codec, and whose players expect it."""
    continues: frozenset[str] = frozenset()
    """Codecs of sources for which it is the default."""
    intermediate: Mapping[str, str] = field(default_factory=dict[str, str])
    """Options for a file that only this program reads, to write pictures from it."""
    never_intermediate: frozenset[str] = frozenset()
    """Pixel formats that those options change."""
    successors: tuple[str, ...] = ()
    """Keys of `ENCODERS` to try in order if it does not support the frames."""


def _x265_threads(threads: int) -> str:
    # Also silences its messages on the terminal.
    return f"log-level=none:pools={threads}:frame-threads={min(threads, 4)}"


_IN_MOST: Final = frozenset({"mp4", "mov", "matroska", "mpegts", "nut"})
_ON_THE_WEB: Final = frozenset({"mp4", "matroska", "webm", "nut"})
_NVIDIA: Final = "an NVIDIA GPU with its driver"

ENCODERS: dict[str, Encoder] = {
    # Measured on 350-pixel portraits, luma PSNR: veryfast at crf 16 gives 44.0 dB in 5 ms a frame;
    # medium at crf 18, usually called visually lossless, 43.2 dB at 16 ms and a quarter fewer
    # bytes. CPU time matters more than bytes here. Other encoders are set to about 44 dB.
    "x264": Encoder(
        "libx264",
        captions=True,
        max_px=(16_384, 16_384),
        crf=16,
        preset="veryfast",
        whole_chroma=True,
        interlaced=True,
        # Not crf 0, which is lossy above 8 bits.
        lossless={"qp": "0"},
        zero_latency={"tune": "zerolatency"},
        words_option="x264-params",
        own_sets=f"sps-id={OWN_SET}",
        in_order={"bf": "0"},
        lookahead_option="rc-lookahead",
        # With 8K it takes 1.1 GiB, with its usual three B-frames in a row 1.5.
        short_lookahead={"bf": "1"},
        hdr_words=HdrWords("mastering-display", "cll"),
        containers=_IN_MOST,
        continues=frozenset({"h264"}),
        successors=("x265", "vp9", "ffv1"),
    ),
    "x265": Encoder(
        "libx265",
        captions=True,
        crf=18,
        preset="fast",
        whole_chroma=True,
        zero_latency={"tune": "zerolatency"},
        lossless={"x265-params": "lossless=1"},
        in_order={"bf": "0"},
        words_option="x265-params",
        thread_words=_x265_threads,
        hdr_words=HdrWords("master-display", "max-cll", first="hdr10=1"),
        containers=_IN_MOST,
        continues=frozenset({"hevc"}),
        successors=("vp9", "ffv1"),
    ),
    "av1": Encoder(
        "libsvtav1",
        max_px=(16_384, 8704),
        crf=20,
        preset="8",
        words_option="svtav1-params",
        thread_words="lp={}".format,
        hdr_words=HdrWords("mastering-display", "content-light", decimal=True),
        environment={"SVT_LOG": "1"},  # it speaks on the terminal, and listens only to this
        containers=_ON_THE_WEB,
        continues=frozenset({"av1"}),
        successors=("x265", "ffv1"),
    ),
    "vp9": Encoder(
        "libvpx-vp9",
        crf=24,
        preset="4",
        preset_option="cpu-used",
        # Without `b=0` libvpx treats crf as a floor below its default bitrate.
        options={"deadline": "good", "row-mt": "1", "b": "0"},
        lossless={"lossless": "1"},
        containers=_ON_THE_WEB,
        continues=frozenset({"vp8", "vp9"}),
        successors=("av1", "x265", "ffv1"),
    ),
    "ffv1": Encoder(
        "ffv1",
        # Version 3 with slice checksums: damage in an archive is found and stays local.
        options={"level": "3", "slicecrc": "1", "g": "1"},
        lossless={},
        # libav allocates the largest packet that a picture might need: 21 bytes per sample (2 GiB
        # at 100 megapixels) in version 3, just over one in version 4, which it calls experimental.
        intermediate={"level": "4", "strict": "experimental"},
        never_intermediate=frozenset({"gray16le"}),  # is read as floating point
        containers=frozenset({"matroska", "nut"}),
        continues=frozenset({"ffv1"}),
    ),
    "prores": Encoder(
        "prores_ks",
        options={"vendor": "apl0"},
        profiles={"422": "hq", "444": "4444"},
        interlaced=True,
        segment_muxer="mov",
        containers=frozenset({"mov", "matroska"}),
        continues=frozenset({"prores"}),
        successors=("ffv1",),
    ),
    "nvenc": Encoder(
        "h264_nvenc",
        captions=True,
        crf=18,
        preset="p5",
        crf_option="cq",
        options={"rc": "vbr", "b": "0"},
        max_bits=8,  # only the newest of NVIDIA's H.264 encoders have more
        needs=_NVIDIA,
        containers=_IN_MOST,
        successors=("hevc_nvenc", "ffv1"),
    ),
    "hevc_nvenc": Encoder(
        "hevc_nvenc",
        captions=True,
        crf=20,
        preset="p5",
        crf_option="cq",
        options={"rc": "vbr", "b": "0"},
        needs=_NVIDIA,
        containers=_IN_MOST,
    ),
    "av1_nvenc": Encoder("av1_nvenc", needs=_NVIDIA, containers=_ON_THE_WEB),
    "prores_aw": Encoder(
        "prores_aw", segment_muxer="mov", containers=frozenset({"mov", "matroska"})
    ),
    "mpeg4": Encoder("mpeg4", max_px=(8191, 8191), interlaced=True, containers=_IN_MOST),
    "mpeg2video": Encoder(
        "mpeg2video",
        captions=True,
        max_px=(16_383, 16_383),
        indivisible_px=4096,
        interlaced=True,
        containers=frozenset({"matroska", "mpegts", "nut"}),
    ),
    "mjpeg": Encoder(
        "mjpeg", max_px=(65_500, 65_500), containers=frozenset({"mov", "matroska", "nut"})
    ),
    "libvpx": Encoder(
        "libvpx", max_px=(16_383, 16_383), containers=frozenset({"matroska", "webm"})
    ),
}
"""Names for `encode.codec` -> what is known of the encoder."""

FALLBACK: Final = "x264"
"""The row for sources whose codec no row continues: old ones, and cameras' own."""


def containers_of(codec_name: str) -> frozenset[str]:
    """Return libav's names of the muxers that hold restored video of a codec.

    Args:
        codec_name: libav's name of the codec, not of an encoder.
    """
    holders = [row.containers for row in ENCODERS.values() if _makes(row, codec_name)]
    return frozenset[str]().union(*holders)


def hdr_encoders() -> list[str]:
    """Return the keys of the encoders that can be told of HDR10's mastering display."""
    return [key for key, row in ENCODERS.items() if row.hdr_words is not None]


def _makes(encoder: Encoder, codec_name: str) -> bool:
    try:
        return libav_encoder(encoder.name).canonical_name == codec_name
    except NodeConfigError:
        return False  # not in this build of libav


def find_encoder(asked_for: str) -> Encoder:
    """Return a row by its key; or what is known of a libav encoder, which keeps its own defaults.

    Raises:
        NodeConfigError: it is unknown or not in this build of libav.
    """
    if asked_for in ENCODERS:
        return ENCODERS[asked_for]
    name = libav_encoder(asked_for).name
    known = next((row for row in ENCODERS.values() if row.name == name), Encoder(name))
    return replace(known, crf=None, preset=None, options={}, max_bits=None)


def libav_encoder(name: str) -> Codec:
    """Return libav's encoder of that name, or the one it prefers for a codec of that name.

    Raises:
        NodeConfigError: it is unknown, not in this build of libav, or not for video.
    """
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as error:
        raise NodeConfigError(
            f"encode.codec: encoder {name!r} is unknown or not in this build of"
            f" libav{did_you_mean(name, (*ENCODERS, 'auto')) or ';'} expected auto,"
            f" {', '.join(ENCODERS)}, or a libav encoder's name"
        ) from error
    if codec.type != "video":
        raise NodeConfigError(f"encode.codec: {name!r} encodes {codec.type}, expected video")
    return codec
