"""Which encoder a video gets, and its settings: pure decisions, no file is touched.

The default keeps the source's codec family, bit depth and chroma, and is visually lossless: a
restored video is an intermediate that somebody will look at closely or encode again. Where the
family's encoder cannot hold the pixel format, the next in `_SUCCESSORS` that can takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.format import VideoFormat
from pydantic import Field

from nodes.errors import NodeConfigError, UnsupportedFormatError
from nodes.media.hdr import encoder_words
from nodes.node import NodeConfig
from nodes.picture.formats import bit_depth, editable_format, nearest_format
from nodes.types import VideoInfo

__all__ = ["EncodeConfig", "EncoderPlan", "plan_encoder"]


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """An encoder and everything it is told."""

    encoder: str
    """libav's name of the encoder, such as `libx264`."""
    codec_name: str
    """libav's name of what it makes, such as `h264`."""
    pix_fmt: str
    """What the encoder is given."""
    options: Mapping[str, str]
    """Private options of the encoder."""
    bitrate_bps: int | None
    """Target, None where quality decides."""


class EncodeConfig(NodeConfig):
    """How frames are encoded."""

    codec: str = "auto"
    """`auto` (the source's family), x264, x265, av1, vp9, ffv1, prores, nvenc, hevc_nvenc, or the
    name of any libav encoder."""
    crf: float | None = Field(default=None, ge=0, le=63)
    """Constant quality, smaller is better; the encoder's own scale. None: visually lossless."""
    preset: str | None = None
    """Speed against size, in the encoder's own words. None: a fast one."""
    pix_fmt: str = "auto"
    """Pixel format of the output; `auto` keeps the source's."""
    bitrate_bps: int | None = Field(default=None, gt=0)
    """Average bits a second, in place of constant quality."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further private options of the encoder."""
    convert: dict[int, str] = Field(default_factory=dict)
    """Streams beside the video that are not copied but converted: number -> libav encoder."""
    quality: int = Field(default=95, ge=1, le=100)
    """Of JPEG and lossy WebP pictures; a JPEG made of a JPEG keeps that one's tables instead."""


@dataclass(frozen=True, slots=True)
class _Encoder:
    name: str
    crf: float | None = None
    """Default quality, None for an encoder without that scale."""
    preset: str | None = None
    crf_key: str = "crf"
    preset_key: str = "preset"
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType[str, str]({}))


_ENCODERS: Final = {
    # Measured on 350-pixel portraits, luma PSNR: veryfast at crf 16 gives 44.0 dB for 5 ms a frame;
    # medium at crf 18, the usual threshold of what the eye can tell, 43.2 dB for 16 ms and a
    # quarter fewer bytes. CPU is dearer than bytes here. The other scales are set to about 44 dB.
    "x264": _Encoder("libx264", 16, "veryfast"),
    "x265": _Encoder("libx265", 18, "fast"),
    "av1": _Encoder("libsvtav1", 20, "8"),
    # Without `b=0` libvpx treats crf as a floor below its default bitrate.
    "vp9": _Encoder(
        "libvpx-vp9",
        24,
        "4",
        preset_key="cpu-used",
        options={"deadline": "good", "row-mt": "1", "b": "0"},
    ),
    # Version 3 with slice checksums: damage in an archive is found and stays local.
    "ffv1": _Encoder("ffv1", options={"level": "3", "slicecrc": "1", "g": "1"}),
    "prores": _Encoder("prores_ks", options={"vendor": "apl0"}),
    "nvenc": _Encoder("h264_nvenc", 18, "p5", crf_key="cq", options={"rc": "vbr", "b": "0"}),
    "hevc_nvenc": _Encoder("hevc_nvenc", 20, "p5", crf_key="cq", options={"rc": "vbr", "b": "0"}),
}

_FAMILY: Final = {
    "h264": "x264",
    "hevc": "x265",
    "av1": "av1",
    "vp8": "vp9",
    "vp9": "vp9",
    "ffv1": "ffv1",
    "prores": "prores",
}
"""Source codec -> encoder. Every other codec is old or a camera's own: it becomes H.264."""

_SUCCESSORS: Final = {
    "x264": ("x265", "vp9", "ffv1"),
    "x265": ("vp9", "ffv1"),
    "av1": ("x265", "ffv1"),
    "vp9": ("av1", "x265", "ffv1"),
    "prores": ("ffv1",),
    "nvenc": ("hevc_nvenc", "ffv1"),
}


_WHOLE_CHROMA: Final = frozenset({"libx264", "libx265"})
"""Encoders that refuse a width or height which the chroma planes do not divide."""

_QUALITY_KEYS: Final = frozenset({"qp", "cq", "crf", "lossless"})
"""Encoders' own words for quality: one given among the options takes the place of ours."""


def plan_encoder(choice: EncodeConfig, info: VideoInfo, threads: int) -> EncoderPlan:
    """Decide how `info`'s frames are encoded.

    Args:
        choice: what the user asked for.
        info: the video whose frames will come.
        threads: CPU threads the encoder may use; part of the plan, as outputs depend on it.

    Raises:
        NodeConfigError: the encoder is unknown or not in this build of libav.
        UnsupportedFormatError: the chosen encoder, or none, can hold the pixel format.
    """
    wanted = info.pix_fmt if choice.pix_fmt == "auto" else choice.pix_fmt
    if choice.codec != "auto":
        key = choice.codec
        if key == "nvenc" and bit_depth(wanted) > 8:
            key = "hevc_nvenc"  # NVIDIA's H.264 encoders have 8 bits
        encoder = _ENCODERS.get(key) or _Encoder(key)
        pix_fmt = _held_format(encoder.name, wanted)
        if pix_fmt is None:
            raise UnsupportedFormatError(
                f"encoder {encoder.name} cannot hold pixel format {wanted}; expected one of"
                f" {', '.join(_formats(encoder.name))}: choose encode.codec ffv1 or auto, or set"
                " encode.pix_fmt"
            )
        if not _takes_size(encoder.name, pix_fmt, info):
            raise UnsupportedFormatError(
                f"encoder {encoder.name} cannot code {info.width_px}x{info.height_px} in"
                f" {pix_fmt}, expected even numbers; choose encode.codec auto or vp9, or set"
                " encode.pix_fmt to yuv444p"
            )
        return _plan(encoder, choice, pix_fmt, info, threads)
    first = _FAMILY.get(info.codec_name, "x264")
    for key in (first, *_SUCCESSORS.get(first, ())):
        name = _ENCODERS[key].name
        if (pix_fmt := _held_format(name, wanted)) and _takes_size(name, pix_fmt, info):
            return _plan(_ENCODERS[key], choice, pix_fmt, info, threads)
    raise UnsupportedFormatError(
        f"no encoder here can hold pixel format {wanted}; set encode.pix_fmt to a common one,"
        " such as yuv420p"
    )


def _plan(
    encoder: _Encoder, choice: EncodeConfig, pix_fmt: str, info: VideoInfo, threads: int
) -> EncoderPlan:
    options = dict(encoder.options)
    preset = choice.preset if choice.preset is not None else encoder.preset
    if preset is not None:
        options[encoder.preset_key] = preset
    crf = choice.crf if choice.crf is not None else encoder.crf
    if crf is not None and choice.bitrate_bps is None and not _QUALITY_KEYS & set(choice.options):
        options[encoder.crf_key] = f"{crf:g}"
    if choice.bitrate_bps is not None:
        options.pop("b", None)
    if encoder.name == "prores_ks":
        options["profile"] = "4444" if "444" in pix_fmt else "hq"
    options |= choice.options
    _limit_threads(encoder.name, options, threads)
    if words := encoder_words(encoder.name, info.hdr):
        key, ours = words
        options[key] = ":".join(filter(None, (ours, options.get(key))))
    return EncoderPlan(
        encoder.name, _codec(encoder.name).canonical_name, pix_fmt, options, choice.bitrate_bps
    )


def _limit_threads(encoder: str, options: dict[str, str], threads: int) -> None:
    """Tell encoders with thread pools and voices of their own how many threads, and to be quiet."""
    if encoder == "libx265":
        ours = f"log-level=none:pools={threads}:frame-threads={min(threads, 4)}"
        options["x265-params"] = ":".join(filter(None, (ours, options.get("x265-params"))))
    elif encoder == "libsvtav1":
        ours = f"lp={threads}"
        options["svtav1-params"] = ":".join(filter(None, (ours, options.get("svtav1-params"))))


def _held_format(encoder: str, pix_fmt: str) -> str | None:
    """Return the pixel format in which `encoder` holds `pix_fmt` without loss, or None."""
    formats = _formats(encoder)
    if not formats or pix_fmt in formats:
        return pix_fmt
    # `yuvj` names only repeat what the range tag says.
    plain = pix_fmt.replace("yuvj", "yuv")
    return plain if plain in formats else nearest_format(plain, _plain(formats))


def _takes_size(encoder: str, pix_fmt: str, info: VideoInfo) -> bool:
    if encoder not in _WHOLE_CHROMA:
        return True
    form = VideoFormat(pix_fmt)
    columns, rows = 8 // form.chroma_width(8), 8 // form.chroma_height(8)
    return info.width_px % columns == 0 == info.height_px % rows


def _plain(formats: list[str]) -> list[str]:
    return [name for name in formats if _is_editable(name) and not name.startswith("yuvj")]


def _is_editable(pix_fmt: str) -> bool:
    try:
        return editable_format(pix_fmt) == pix_fmt
    except UnsupportedFormatError:
        return False


def _formats(encoder: str) -> list[str]:
    return [form.name for form in _codec(encoder).video_formats or ()]


def _codec(encoder: str) -> Codec:
    try:
        codec = Codec(encoder, "w")
    except UnknownCodecError as error:
        raise NodeConfigError(
            f"encode.codec: encoder {encoder!r} is unknown or not in this build of libav; expected"
            f" auto, {', '.join(_ENCODERS)}, or a libav encoder's name"
        ) from error
    if codec.type != "video":
        raise NodeConfigError(f"encode.codec: {encoder!r} encodes {codec.type}, expected video")
    return codec
