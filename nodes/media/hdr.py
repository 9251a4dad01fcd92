"""What an HDR10 video says of the display it was made on, and of its brightest pictures.

It travels beside the pictures (SMPTE ST 2086, CTA-861.3). PyAV reads it from a decoded picture, and
hands it to no encoder by itself, so x264, x265 and SVT-AV1 are told in their own words.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

import av

from nodes.media.side_data import side_data
from nodes.types import HdrFacts

__all__ = ["encoder_words", "read_hdr_facts"]

_KEYS: Final = {
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
}
"""Encoder -> its option, and in that the keys of the display and of the light levels."""


def read_hdr_facts(picture: av.VideoFrame) -> HdrFacts | None:
    """Return what a decoded picture says, None if it says nothing."""
    display = side_data(picture, "MASTERING_DISPLAY_METADATA")
    light = side_data(picture, "CONTENT_LIGHT_LEVEL")
    facts = HdrFacts(_display(display), _light(light))
    return None if facts == HdrFacts(None, None) else facts


def _display(content: bytes | None) -> tuple[Fraction, ...] | None:
    if content is None or len(content) < 88:
        return None
    numbers = struct.unpack_from("=22i", content)
    has_primaries, has_luminance = numbers[20:]
    pairs = list(zip(numbers[0:20:2], numbers[1:20:2], strict=True))
    if not (has_primaries and has_luminance and all(below for _, below in pairs)):
        return None
    return tuple(Fraction(above, below) for above, below in pairs)


def _light(content: bytes | None) -> tuple[int, int] | None:
    if content is None or len(content) < 8:
        return None
    brightest, average = struct.unpack_from("=2I", content)
    return (brightest, average) if brightest or average else None


def encoder_words(encoder: str, facts: HdrFacts | None) -> tuple[str, str] | None:
    """Return the option that tells an encoder, and its value; None if it cannot be told.

    Args:
        encoder: libav's name.
        facts: what to tell.
    """
    if facts is None or encoder not in _KEYS:
        return None
    option, display_key, light_key = _KEYS[encoder]
    words = ["hdr10=1"] if encoder == "libx265" else []
    if facts.display is not None:
        words.append(f"{display_key}={_display_words(encoder, facts.display)}")
    if facts.light_cd_m2 is not None:
        words.append(f"{light_key}={facts.light_cd_m2[0]},{facts.light_cd_m2[1]}")
    return option, ":".join(words)


def _display_words(encoder: str, display: tuple[Fraction, ...]) -> str:
    if encoder == "libsvtav1":
        values = [f"{float(value):.6f}" for value in display]
    else:  # in steps of 0.00002 and of 0.0001 cd/m2
        steps = [50_000] * 8 + [10_000] * 2
        values = [str(round(value * step)) for value, step in zip(display, steps, strict=True)]
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, least, most = values
    return (
        f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})"
        f"WP({white_x},{white_y})L({most},{least})"
    )
