"""Formats of picture files, one row each: adding one takes no other change.

libav reads them all; a row says how one is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import PurePath
from typing import Any

__all__ = [
    "PICTURE_FORMATS",
    "AnimationFormat",
    "PhotoFormat",
    "PictureFormat",
    "animation_format",
    "photo_format",
    "picture_format",
]


@dataclass(frozen=True, slots=True)
class PhotoFormat:
    """How one picture is written to a file of its own."""

    name: str
    """Pillow's name of the format."""
    takes: tuple[str, ...] = ()
    """What Pillow is handed: of what it says of the source (`exif`, `icc_profile` ...), and of
    `quality` (1 to 100) and `lossless` (whether the source is)."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further options for Pillow."""
    alpha: bool = True
    """Whether it holds transparency, which is left out otherwise."""
    may_be_cmyk: bool = False
    """Whether its files may be in the colours of print, which nothing here can edit."""


@dataclass(frozen=True, slots=True)
class AnimationFormat:
    """How several pictures are written to one file that is played."""

    muxer: str
    """libav's name."""
    encoder: str
    """libav's name."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the encoder."""
    pix_fmt: str | None = None
    """What the encoder is given; None for RGB, or RGBA where a picture has transparency."""
    palette: bool = False
    """Whether each picture has 256 colours."""
    tick_s: Fraction | None = None
    """Seconds between the times that it can tell apart; None where it has fractions."""
    loop_option: str = "loop"
    """The muxer's option for how often it is shown; 0 is without end."""
    loop_once: int = 1
    """That option for once."""
    final_delay: bool = False
    """Whether the muxer must be told how long the last picture is shown: `final_delay`, in ticks,
    or in seconds where it has fractions."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What files of one suffix may hold."""

    photo: PhotoFormat | None = None
    animation: AnimationFormat | None = None


_JPEG = PictureFormat(
    PhotoFormat(
        "JPEG",
        takes=("exif", "icc_profile", "xmp", "comment", "dpi"),
        alpha=False,
        may_be_cmyk=True,
    )
)
_APNG = AnimationFormat("apng", "apng", loop_option="plays", final_delay=True)

PICTURE_FORMATS: dict[str, PictureFormat] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": PictureFormat(PhotoFormat("PNG"), _APNG),
    ".apng": PictureFormat(animation=_APNG),
    ".webp": PictureFormat(
        PhotoFormat(
            "WEBP",
            takes=("quality", "lossless", "exif", "icc_profile", "xmp"),
            options={"exact": True},
        ),
        AnimationFormat(
            "webp",
            "libwebp_anim",
            options={"lossless": "1"},
            pix_fmt="bgra",
            tick_s=Fraction(1, 1000),
        ),
    ),
    ".gif": PictureFormat(
        animation=AnimationFormat(
            "gif", "gif", palette=True, tick_s=Fraction(1, 100), loop_once=-1, final_delay=True
        )
    ),
}
"""Suffix in lower case -> what such files may hold."""


def picture_format(path: PurePath | str) -> PictureFormat | None:
    """Return what a file of that name may hold, None if it is not a picture's name."""
    return PICTURE_FORMATS.get(PurePath(path).suffix.lower())


def photo_format(path: PurePath | str) -> PhotoFormat | None:
    """Return how a file of that name holds one picture, None if it does not."""
    known = picture_format(path)
    return None if known is None else known.photo


def animation_format(path: PurePath | str) -> AnimationFormat | None:
    """Return how a file of that name holds pictures that move, None if it does not."""
    known = picture_format(path)
    return None if known is None else known.animation
