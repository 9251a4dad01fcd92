"""Rows on streams whose pictures change within the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

from tests.conformance.row import Column, Row
from tests.conformance.sources import Maker
from tests.support.changing import Part, make_changing

__all__ = ["changes"]

_SMALL: Final = Part(64, 36)
_LARGE: Final = Part(128, 72)
_FIT: Final = "all pictures fit the largest; said, in the plan too"
_SAME_FRAME: Final[Mapping[Column, str]] = {"picture": _FIT}
_OTHER_FRAME: Final[Mapping[Column, str]] = {"picture": _FIT, "shape": _FIT}


def _of(parts: Sequence[Part], codec: str) -> Maker:
    def make(path: Path) -> Path:
        return make_changing(path, parts, codec)

    return make


def changes() -> list[Row]:
    """Streams that grow, shrink, turn, or change their shape or format."""
    growing, high = (_SMALL, _LARGE), Part(36, 64)
    wide = Part(64, 36, sample_aspect_ratio=Fraction(4, 3))
    listed: list[tuple[str, str, Sequence[Part], str, str | None, Mapping[Column, str]]] = [
        ("pictures grow", "v.ts", growing, "libx264", None, _OTHER_FRAME),
        ("pictures grow", "v.mkv", growing, "libx264", None, _OTHER_FRAME),
        ("pictures grow", "v.mp4", growing, "libx264", None, _OTHER_FRAME),
        ("pictures grow, VP8", "v.webm", growing, "libvpx", "vp9", _OTHER_FRAME),
        ("pictures grow, VP9", "v.webm", growing, "libvpx-vp9", "vp9", _OTHER_FRAME),
        ("pictures shrink", "v.ts", (_LARGE, _SMALL), "libx264", None, _SAME_FRAME),
        ("pictures shrink, VP9", "v.mkv", (_LARGE, _SMALL), "libvpx-vp9", "vp9", _SAME_FRAME),
        ("wide pictures, then high ones", "v.mkv", (_SMALL, high), "libx264", None, _OTHER_FRAME),
        ("pixels become wide", "v.ts", (_SMALL, wide), "libx264", None, _OTHER_FRAME),
        (
            "4:2:0, then 4:2:2 with 10 bit",
            "v.mkv",
            (_SMALL, Part(64, 36, "yuv422p10le")),
            "libx264",
            None,
            _SAME_FRAME,
        ),
        (
            "turned by the stream itself",
            "v.ts",
            (_SMALL, Part(64, 36, turned_deg=90)),
            "libx264",
            None,
            _OTHER_FRAME,
        ),
    ]
    return [
        Row("shape", name, source, _of(parts, codec), codec=became, differs=differs)
        for name, source, parts, codec, became, differs in listed
    ]
