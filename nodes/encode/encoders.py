"""Choosing the encoder of a video, and its settings.

The default keeps the source's codec family, bit depth and chroma subsampling, and is visually
lossless, because a restored video may be examined closely or encoded again. If the encoder does not
support the pixel format, the first of its `successors` that does is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

from av.video.format import VideoFormat
from pydantic import ConfigDict, Field, field_validator, model_validator

from nodes.encode.allowed_options import check_options
from nodes.encode.encoder_table import ENCODERS, FALLBACK, Encoder, find_encoder, libav_encoder
from nodes.errors import NodeConfigError, UnsupportedFormatError
from nodes.node import NodeConfig
from nodes.picture.formats import bit_depth, editable_format, nearest_format
from nodes.types import VideoInfo

__all__ = [
    "EncodeConfig",
    "EncoderPlan",
    "OtherStreamsMode",
    "plan_encoder",
    "plan_intermediate",
    "plan_joined",
]

OtherStreamsMode = Literal["keep", "copy", "refuse"]
"""See `EncodeConfig.other_streams`."""


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """An encoder and its settings."""

    encoder: str
    """libav's name of the encoder, such as `libx264`."""
    codec_name: str
    """libav's name of the codec, such as `h264`."""
    pix_fmt: str
    """Pixel format for the encoder."""
    options: Mapping[str, str]
    """Private options of the encoder."""
    bitrate_bps: int | None
    """Target bit rate, bits per second; None for constant quality."""
    facts: Encoder
    """The row of the encoder in the table."""
    lossless: bool
    """Whether decoding gives the encoded pictures exactly."""
    intermediate: bool = False
    """Whether pictures are written from the file, which is then removed."""


class EncodeConfig(NodeConfig):
    """How frames are encoded."""

    # "copy" is a method of pydantic's.
    model_config = ConfigDict(serialize_by_alias=True)

    codec: str = "auto"
    """`auto` (the source's family); a key of `nodes.encode.encoder_table.ENCODERS`, such as x264,
    x265, av1, vp9, ffv1, prores, nvenc or hevc_nvenc; or the name of any libav encoder."""
    crf: float | None = Field(default=None, ge=0, le=63)
    """Constant quality on the encoder's scale, smaller is better. None: visually lossless."""
    preset: str | None = None
    """The encoder's preset. None: a fast one."""
    lossless: bool = False
    """Encode without loss instead of with constant quality, and reproducibly: the output does not
    depend on the number of threads."""
    pix_fmt: str = "auto"
    """Pixel format of the output; `auto` keeps the source's."""
    bitrate_bps: int | None = Field(default=None, gt=0, le=2**31 - 1)
    """Average bit rate, bits per second, instead of constant quality."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further private options of the encoder, of those in `nodes.encode.allowed_options`: none that
    names a file."""
    copies: bool = Field(default=True, alias="copy")
    """Copy the source's packets wherever no picture was changed, instead of encoding them again.
    Any other setting that says how to encode (codec, crf, preset, lossless, pix_fmt, bitrate_bps,
    options) encodes everything."""
    convert: dict[int, str] = Field(default_factory=dict)
    """Streams beside the video that are not copied but converted: number -> libav encoder."""
    other_streams: OtherStreamsMode = "keep"
    """What becomes of streams that the output cannot hold as they are. `keep`: converted, without
    loss where that can be, else left out. `copy`: left out. `refuse`: nothing is started."""
    other_pictures: bool = True
    """Keep what else the source shows: further video streams, covers and attachments. Graphs that
    hide something leave them out."""
    keep_start: bool = False
    """Begin at the source's time also where that is arbitrary, as in MPEG-TS; else at 0."""
    beside: bool = False
    """Write a file beside the output, with the node's name in its name: `door.changes.mp4`."""
    quality: int = Field(default=95, ge=1, le=100)
    """Quality of JPEG and lossy WebP pictures; a JPEG from a JPEG source uses its tables instead.
    """

    def why_encoded(self) -> str | None:
        """Return which settings ask for all frames to be encoded, None if there are none."""
        if not self.copies:
            return "encode.copy is false"
        given = [name for name in _OF_ENCODING if getattr(self, name) != _default(type(self), name)]
        return f"encode.{given[0]} is set" if given else None

    @model_validator(mode="after")
    def _one_quality(self) -> Self:
        if self.lossless and (self.crf is not None or self.bitrate_bps is not None):
            raise ValueError("lossless leaves crf and bitrate_bps no meaning: leave them out")
        return self

    @field_validator("pix_fmt")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "auto" and VideoFormat(name).name != name:  # raises ValueError, mostly
            raise ValueError("not a pixel format")
        return name


LOOKAHEAD_BYTES: Final = 256_000_000
"""Most memory for an encoder's lookahead, bytes."""
SHORTEST_LOOKAHEAD: Final = 10
"""Lookahead of x264 at the default preset, pictures: nothing is set if it fits, as up to 4K."""

_OF_ENCODING: Final = (
    "codec",
    "crf",
    "preset",
    "lossless",
    "pix_fmt",
    "bitrate_bps",
    "options",
)
"""Settings that have a meaning for encoded frames only."""


def _default(config: type[EncodeConfig], name: str) -> object:
    return config.model_fields[name].get_default(call_default_factory=True)


_QUALITY_OPTIONS: Final = frozenset({"qp", "cq", "crf", "lossless"})
"""Encoders' options for quality; if the user gives one, the default quality is not set."""


def plan_encoder(choice: EncodeConfig, info: VideoInfo, threads: int) -> EncoderPlan:
    """Choose the encoder and its settings.

    Args:
        choice: the configuration.
        info: the video to encode.
        threads: CPU threads that the encoder may use; the output depends on it.

    Raises:
        NodeConfigError: the encoder is unknown or not in this build of libav.
        UnsupportedFormatError: the encoder and its successors do not support the pixel format.
    """
    wanted = info.pix_fmt if choice.pix_fmt == "auto" else choice.pix_fmt
    if choice.codec != "auto":
        encoder = find_encoder(choice.codec)
        if choice.lossless and encoder.lossless is None:
            able = [key for key, row in ENCODERS.items() if row.lossless is not None]
            raise NodeConfigError(
                f"encode.lossless (--evidence): encoder {encoder.name} is not known to lose"
                f" nothing; expected encode.codec auto, {', '.join(able)}"
            )
        if encoder.max_bits is not None and bit_depth(wanted) > encoder.max_bits:
            encoder = ENCODERS[encoder.successors[0]]
        pix_fmt = _lossless_format(encoder.name, wanted)
        if pix_fmt is None:
            raise UnsupportedFormatError(
                f"encoder {encoder.name} cannot hold pixel format {wanted}; expected one of"
                f" {', '.join(_formats(encoder.name))}: choose encode.codec ffv1 or auto, or set"
                " encode.pix_fmt"
            )
        if (wrong := _wrong_size(encoder, pix_fmt, info)) is not None:
            raise UnsupportedFormatError(
                f"encoder {encoder.name} cannot code {info.width_px}x{info.height_px} in"
                f" {pix_fmt}, expected {wrong}"
            )
        return _plan(encoder, choice, pix_fmt, info, threads)
    continuing = (key for key, row in ENCODERS.items() if info.codec_name in row.continues)
    first = next(continuing, FALLBACK)
    for key in (first, *ENCODERS[first].successors):
        encoder = ENCODERS[key]
        if choice.lossless and encoder.lossless is None:
            continue
        pix_fmt = _lossless_format(encoder.name, wanted)
        if pix_fmt and _wrong_size(encoder, pix_fmt, info) is None:
            return _plan(encoder, choice, pix_fmt, info, threads)
    raise UnsupportedFormatError(
        f"no encoder here can hold {info.width_px}x{info.height_px} in pixel format {wanted}; set"
        " encode.pix_fmt to a common one, such as yuv420p, or a smaller scale"
    )


def plan_joined(plan: EncoderPlan, info: VideoInfo) -> EncoderPlan:
    """Return a plan whose pictures can stand between those of the source.

    If only one of both reorders pictures, some decoders lose or put off the last picture before a
    join: OpenH264 keeps it back for one that may come before it, and forgets it.

    Args:
        plan: for the source's codec.
        info: the source.
    """
    options = dict(plan.options)
    if info.reorder_frames == 0:
        options |= plan.facts.in_order
    if info.profile in _BASELINE:
        options["profile"] = "baseline"
    return replace(plan, options=options)


def plan_intermediate(plan: EncoderPlan) -> EncoderPlan:
    """Return a plan for a file that only this program reads, to write pictures from it."""
    never = plan.pix_fmt in plan.facts.never_intermediate
    options = plan.options if never else {**plan.options, **plan.facts.intermediate}
    return replace(plan, options=options, intermediate=True)


_BASELINE: Final = ("Baseline", "Constrained Baseline")
"""Profiles of H.264 without reordering, by libav's names."""


def _plan(
    encoder: Encoder, choice: EncodeConfig, pix_fmt: str, info: VideoInfo, threads: int
) -> EncoderPlan:
    check_options(choice.options)
    options = dict(encoder.options)
    preset = choice.preset if choice.preset is not None else encoder.preset
    if preset is not None:
        options[encoder.preset_option] = preset
    crf = choice.crf if choice.crf is not None else encoder.crf
    given = _QUALITY_OPTIONS & set(choice.options)
    if crf is not None and choice.bitrate_bps is None and not given and not choice.lossless:
        options[encoder.crf_option] = f"{crf:g}"
    if choice.bitrate_bps is not None:
        options.pop("b", None)
    profile = next((name for key, name in encoder.profiles.items() if key in pix_fmt), None)
    if profile is not None:
        options["profile"] = profile
    if encoder.lookahead_option and (pictures := _lookahead(pix_fmt, info)) < SHORTEST_LOOKAHEAD:
        options[encoder.lookahead_option] = str(pictures)
        if choice.preset is None and "tune" not in choice.options:
            options |= encoder.short_lookahead  # others may have no B-frames at all
    options |= choice.options
    if choice.lossless:
        options |= _lossless_options(encoder, options)
    words = _words(encoder, info, threads)
    if encoder.own_sets and choice.why_encoded() is None:
        words.append(encoder.own_sets)
    if words:
        words.append(options.get(encoder.words_option, ""))
        options[encoder.words_option] = ":".join(filter(None, words))
    codec_name = libav_encoder(encoder.name).canonical_name
    return EncoderPlan(
        encoder.name,
        codec_name,
        pix_fmt,
        options,
        choice.bitrate_bps,
        facts=encoder,
        lossless=encoder.lossless is not None and (choice.lossless or not encoder.lossless),
    )


def _lookahead(pix_fmt: str, info: VideoInfo) -> int:
    """Return how many pictures an encoder may look ahead; it keeps each of them twice."""
    bits = VideoFormat(pix_fmt).padded_bits_per_pixel
    return max(1, LOOKAHEAD_BYTES * 8 // (2 * info.width_px * info.height_px * bits))


def _lossless_options(encoder: Encoder, given: Mapping[str, str]) -> dict[str, str]:
    """Return the options for lossless coding, combined with other private parameters."""
    options = dict(encoder.lossless or {})
    if (words := encoder.words_option) in options:
        options[words] = ":".join(filter(None, (given.get(words), options[words])))
    return options


def _words(encoder: Encoder, info: VideoInfo, threads: int) -> list[str]:
    """Return the private parameters of an encoder, before those of the user."""
    words: list[str] = []
    if encoder.hdr_words is not None and info.hdr is not None:
        words.append(encoder.hdr_words.of(info.hdr))
    if encoder.thread_words is not None:
        words.append(encoder.thread_words(threads))
    return words


def _lossless_format(encoder: str, pix_fmt: str) -> str | None:
    """Return the pixel format in which `encoder` stores `pix_fmt` without loss, or None."""
    formats = _formats(encoder)
    if not formats or pix_fmt in formats:
        return pix_fmt
    # `yuvj` formats differ by the range only, which is a tag.
    plain = pix_fmt.replace("yuvj", "yuv")
    return plain if plain in formats else nearest_format(plain, _plain(formats))


def _wrong_size(encoder: Encoder, pix_fmt: str, info: VideoInfo) -> str | None:
    """Return what an encoder expects in place of a size, None if it takes it."""
    width_px, height_px = info.width_px, info.height_px
    most_x, most_y = encoder.max_px
    if width_px > most_x or height_px > most_y:
        return f"at most {most_x}x{most_y}; choose encode.codec auto or ffv1, or a smaller scale"
    step = encoder.indivisible_px
    if step is not None and (width_px % step == 0 or height_px % step == 0):
        return f"no multiple of {step}; choose encode.codec auto"
    form = VideoFormat(pix_fmt)
    columns, rows = 8 // form.chroma_width(8), 8 // form.chroma_height(8)
    if encoder.whole_chroma and (width_px % columns or height_px % rows):
        return "even numbers; choose encode.codec auto or vp9, or set encode.pix_fmt to yuv444p"
    return None


def _plain(formats: list[str]) -> list[str]:
    return [name for name in formats if _is_editable(name) and not name.startswith("yuvj")]


def _is_editable(pix_fmt: str) -> bool:
    try:
        return editable_format(pix_fmt) == pix_fmt
    except UnsupportedFormatError:
        return False


def _formats(encoder: str) -> list[str]:
    return [known.name for known in libav_encoder(encoder).video_formats or ()]
