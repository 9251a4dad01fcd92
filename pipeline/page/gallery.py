"""The best shots of each face, before and after, as pictures that a page can hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from nodes.sheet.page import PagePair, change_picture, read_page

__all__ = ["Shot", "read_shots"]

SIDE_PX: Final = 224
_QUALITY: Final = 80
"""Of WebP: for looking at, not for measuring; the PNGs beside the output hold every pixel."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One pair of pictures of a face."""

    kind: str
    """What it is the best shot in, separated by commas."""
    time_s: float
    eye_distance_px: float
    before: str
    """As a `data:` URL."""
    after: str
    generative: bool
    """Whether a generative network restored it."""
    change: str
    """What the restoration changed, `GAIN` times as much, on gray."""

    @property
    def size_bytes(self) -> int:
        """What it adds to a page."""
        return len(self.before) + len(self.after) + len(self.change)


def read_shots(sheets: Mapping[int, Path]) -> dict[int, list[Shot]]:
    """Return the shots of each face that has a sheet of its own.

    Args:
        sheets: the faces' sheets by number; those that are gone or are none are left out.
    """
    shots: dict[int, list[Shot]] = {}
    for number, sheet in sheets.items():
        try:
            pairs = read_page(sheet)
        except (OSError, ValueError, KeyError):
            continue
        # One frame may be the best in several respects.
        kinds: dict[float, list[PagePair]] = {}
        for pair in pairs:
            kinds.setdefault(pair.time_s, []).append(pair)
        shots[number] = [_shot(alike) for alike in kinds.values()]
    return shots


def _shot(alike: Sequence[PagePair]) -> Shot:
    return Shot(
        kind=", ".join(pair.kind for pair in alike),
        time_s=alike[0].time_s,
        eye_distance_px=alike[0].eye_distance_px,
        before=_data_url(alike[0].before),
        after=_data_url(alike[0].after),
        generative=alike[0].generative,
        change=_data_url(change_picture(alike[0].before, alike[0].after)),
    )


def _data_url(picture: Image.Image) -> str:
    small = picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()
