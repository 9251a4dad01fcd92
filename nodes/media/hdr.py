"""HDR10 metadata: mastering display (SMPTE ST 2086) and content light level (CTA-861.3).

PyAV reads it from decoded pictures but does not pass it to encoders, so that it is passed as
options to the encoders that have them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import av

from nodes.media.side_data import side_data
from nodes.types import HdrFacts

__all__ = ["HdrWords", "read_hdr_facts"]


@dataclass(frozen=True, slots=True)
class HdrWords:
    """An encoder's syntax for HDR10 metadata: `key=value:key=value`."""

    display: str
    """Key of the mastering display."""
    light: str
    """Key of the light levels."""
    first: str = ""
    """Option that must come before both, if any."""
    decimal: bool = False
    """Whether the display is given in decimals; else in steps of 0.00002 and 0.0001 cd/m2."""

    def of(self, facts: HdrFacts) -> str:
        """Return the options for `facts`."""
        words = [self.first] if self.first else []
        if facts.display is not None:
            words.append(f"{self.display}={self._display(facts.display)}")
        if facts.light_cd_m2 is not None:
            words.append(f"{self.light}={facts.light_cd_m2[0]},{facts.light_cd_m2[1]}")
        return ":".join(words)

    def _display(self, display: tuple[Fraction, ...]) -> str:
        if self.decimal:
            values = [f"{float(value):.6f}" for value in display]
        else:
            steps = [50_000] * 8 + [10_000] * 2
            values = [str(round(value * step)) for value, step in zip(display, steps, strict=True)]
        red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, least, most = values
        return (
            f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})"
            f"WP({white_x},{white_y})L({most},{least})"
        )


def read_hdr_facts(picture: av.VideoFrame) -> HdrFacts | None:
    """Return the HDR10 metadata of a decoded picture, None if it has none."""
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
