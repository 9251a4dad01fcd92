"""The table of picture file formats. To add a format, add a row.

libav reads all of them; a row describes how the format is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import PurePath
from typing import Any, BinaryIO, Final

from nodes.picture.webp import set_last_duration

__all__ = [
    "PICTURE_FORMATS",
    "AnimationFormat",
    "PhotoFormat",
    "PictureFormat",
    "Samples",
    "animation_format",
    "photo_format",
    "picture_format",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What the pixels of a format can be."""

    bits: int = 8
    """Most bits per sample."""
    alpha: bool = True
    """Whether it supports transparency."""
    grey: bool = False
    """Whether it has pictures without colour."""
    exact: bool = True
    """Whether each sample stays as it is; of a photograph that takes `lossless`, if asked for."""
    palette: bool = False
    """Whether each picture has 256 colours, and pixels are transparent or not."""
    hdr: bool = False
    """Whether it can say that its colours are HDR, and how they were graded."""
    most_side_px: int | None = None
    """The widest or highest picture that it can hold."""


@dataclass(frozen=True, slots=True)
class PhotoFormat(Samples):
    """How a single picture is written."""

    name: str
    """Pillow's name of the format."""
    takes: Mapping[str, int | None] = field(default_factory=dict[str, int | None])
    """Arguments for Pillow: metadata of the source (`exif`, `icc_profile` ...), `quality` (1 to
    100) and `lossless` (whether the source is lossless). The most bytes that fit, None if any."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further options for Pillow."""


@dataclass(frozen=True, slots=True)
class AnimationFormat(Samples):
    """How an animation is written."""

    muxer: str
    """libav's name."""
    encoder: str
    """libav's name."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Options of the encoder."""
    pix_fmt: str | None = None
    """Pixel format for the encoder; None for RGB, or RGBA with transparency."""
    tick_s: Fraction | None = None
    """Resolution of its times, s; None if times are fractions."""
    loop_option: str = "loop"
    """The muxer's option for the number of repetitions; 0 is infinite."""
    loop_once: int = 1
    """Value of that option to show it once."""
    final_delay: bool = False
    """Whether the muxer needs the duration of the last picture as `final_delay`, in ticks, or in
    seconds if times are fractions."""
    set_last_duration: Callable[[BinaryIO, int], None] | None = None
    """Writes the duration of the last picture, in ticks, into a file whose muxer takes none."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """The formats of files with one suffix."""

    photo: PhotoFormat | None = None
    animation: AnimationFormat | None = None


_SEGMENT_BYTES: Final = 65_533
"""What a segment of a JPEG holds."""

_WEBP_PX: Final = 16_383

_JPEG = PictureFormat(
    PhotoFormat(
        "JPEG",
        takes={
            "exif": _SEGMENT_BYTES,
            # In at most 255 segments, each with a header of 14 bytes.
            "icc_profile": 255 * (_SEGMENT_BYTES - 14),
            "xmp": _SEGMENT_BYTES - 29,
            "comment": _SEGMENT_BYTES,
            "dpi": None,
            # Whole segments; the only one is of IPTC.
            "extra": 2 + 2 + _SEGMENT_BYTES,
        },
        alpha=False,
        grey=True,
        exact=False,
        most_side_px=65_500,
    )
)
_APNG = AnimationFormat("apng", "apng", loop_option="plays", final_delay=True)

PICTURE_FORMATS: dict[str, PictureFormat] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": PictureFormat(PhotoFormat("PNG", bits=16, grey=True, hdr=True), _APNG),
    ".apng": PictureFormat(animation=_APNG),
    ".webp": PictureFormat(
        PhotoFormat(
            "WEBP",
            takes=dict.fromkeys(("quality", "lossless", "exif", "icc_profile", "xmp")),
            options={"exact": True},
            most_side_px=_WEBP_PX,
        ),
        AnimationFormat(
            "webp",
            "libwebp_anim",
            options={"lossless": "1"},
            pix_fmt="bgra",
            tick_s=Fraction(1, 1000),
            set_last_duration=set_last_duration,
            most_side_px=_WEBP_PX,
        ),
    ),
    ".gif": PictureFormat(
        animation=AnimationFormat(
            "gif",
            "gif",
            exact=False,
            palette=True,
            tick_s=Fraction(1, 100),
            loop_once=-1,
            final_delay=True,
            most_side_px=65_535,
        )
    ),
}
"""Formats by suffix, in lower case."""


def picture_format(path: PurePath | str) -> PictureFormat | None:
    """Return the format of a file by its suffix, None if it is not a picture."""
    return PICTURE_FORMATS.get(PurePath(path).suffix.lower())


def photo_format(path: PurePath | str) -> PhotoFormat | None:
    """Return the format of a single picture by its suffix, None if there is none."""
    known = picture_format(path)
    return None if known is None else known.photo


def animation_format(path: PurePath | str) -> AnimationFormat | None:
    """Return the format of an animation by its suffix, None if there is none."""
    known = picture_format(path)
    return None if known is None else known.animation
