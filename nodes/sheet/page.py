"""Writing and reading the pages of contact sheets.

The positions of the faces are stored in the PNG as JSON in a text chunk, so that the report can
show its pictures without other files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nodes.picture.png_chunks import PNG_SIGNATURE, png_chunk

__all__ = [
    "GAIN",
    "PagePair",
    "change_picture",
    "read_page",
    "write_page",
]

GAIN: Final = 8
"""How much changes are amplified where they are shown."""
_INDEX: Final = "aminet_faces"
_HEADER_BYTES: Final = len(PNG_SIGNATURE) + 25
"""Signature and first chunk of a PNG, after which others may follow."""
_CAPTION: Final = (
    "Left: the source, enlarged (bicubic). Right: restored by AMINet. A restored face is an"
    " estimate, not a proof of who it is."
)
_CHANGES_CAPTION: Final = f"Third: the difference of the two, {GAIN} times as much."
_GENERATIVE: Final = (
    "Generative: the network drew detail that is plausible, not recorded. Do not read small"
    " features from these faces."
)
_BACKGROUND: Final = (24, 24, 24)
_TEXT: Final = (230, 230, 230)
_GAP_PX: Final = 12
_LINE_PX: Final = 24


@dataclass(frozen=True, slots=True)
class PagePair:
    """A face on a page, before and after: two squares of the same size."""

    track_id: int
    time_s: float
    eye_distance_px: float
    before: Image.Image
    after: Image.Image
    kind: str = ""
    """What the shot is the best in, on the page of a single face."""
    generative: bool = False
    """Whether a generative network restored it."""

    def named(self, kind: str) -> PagePair:
        """Return the same pair as a shot of a kind."""
        return replace(self, kind=kind)


def change_picture(before: Image.Image, after: Image.Image) -> Image.Image:
    """Return what differs between two RGB pictures, `GAIN` times as much, on gray."""
    step = np.asarray(after, np.int16) - np.asarray(before, np.int16)
    return Image.fromarray(np.clip(128 + GAIN * step, 0, 255).astype(np.uint8))


def write_page(
    pairs: Iterable[PagePair], path: Path, *, columns: int, changes: bool = False
) -> None:
    """Draw pairs in the order of their track numbers, and save the page as PNG.

    Args:
        pairs: the pairs; at least one.
        path: the file to write.
        columns: most pairs per row.
        changes: add a third picture to each pair: what changed (`change_picture`).

    Raises:
        OSError: the file cannot be written.
    """
    ordered = sorted(pairs, key=lambda pair: pair.track_id)
    side = ordered[0].before.width
    columns = min(columns, len(ordered))
    rows = -(-len(ordered) // columns)
    step = side + _GAP_PX // 2
    cell_width = (3 if changes else 2) * step + _GAP_PX
    cell_height = side + _LINE_PX + _GAP_PX
    texts = [_CAPTION]
    if changes:
        texts.append(_CHANGES_CAPTION)
    if any(pair.generative for pair in ordered):
        texts.append(_GENERATIVE)
    caption = _wrapped(" ".join(texts), columns * cell_width - 2 * _GAP_PX)
    height = rows * cell_height + _GAP_PX + _LINE_PX * len(caption)
    page = Image.new("RGB", (columns * cell_width, height), _BACKGROUND)
    draw = ImageDraw.Draw(page)
    index: list[dict[str, float | str | bool]] = []
    for cell, pair in enumerate(ordered):
        x = cell % columns * cell_width + _GAP_PX
        y = cell // columns * cell_height + _GAP_PX
        look = "generative" if pair.generative else ""
        label = f"face {pair.track_id}", look, pair.kind, f"{pair.time_s:.2f} s"
        size = f"eyes {pair.eye_distance_px:.0f} px apart"
        draw.text((x, y), "   ".join(filter(None, (*label, size))), _TEXT, _font())
        page.paste(pair.before, (x, y + _LINE_PX))
        page.paste(pair.after, (x + step, y + _LINE_PX))
        if changes:
            changed = change_picture(pair.before, pair.after)
            page.paste(changed, (x + 2 * step, y + _LINE_PX))
        index.append(_entry(pair, x, y + _LINE_PX))
    for line, text in enumerate(caption):
        draw.text((_GAP_PX, rows * cell_height + _GAP_PX + line * _LINE_PX), text, _TEXT, _font())
    path.write_bytes(_png(page, {_INDEX: json.dumps(index)}))


def _png(page: Image.Image, texts: Mapping[str, str]) -> bytes:
    """Encode an RGB picture as PNG, with chunks of text in ASCII."""
    # OpenCV's default takes a third of the time of Pillow at level 1, and no more space.
    _, encoded = cv2.imencode(".png", cv2.cvtColor(np.asarray(page), cv2.COLOR_RGB2BGR))
    content = encoded.tobytes()
    chunks = [
        png_chunk(b"tEXt", f"{keyword}\0{text}".encode("ascii")) for keyword, text in texts.items()
    ]
    return b"".join([content[:_HEADER_BYTES], *chunks, content[_HEADER_BYTES:]])


def read_page(path: Path) -> list[PagePair]:
    """Return the pairs of a page that `write_page` wrote, with identical pixels.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a page.
    """
    with Image.open(path) as opened:
        text = opened.info.get(_INDEX)
        page = opened.convert("RGB")
    if not isinstance(text, str):
        raise ValueError(f"{path}: is no contact sheet with an index of its faces")
    pairs: list[PagePair] = []
    for entry in json.loads(text):
        x, y, side = entry["x_px"], entry["y_px"], entry["side_px"]
        lefts = x, x + side + _GAP_PX // 2
        before, after = (page.crop((left, y, left + side, y + side)) for left in lefts)
        pairs.append(
            PagePair(
                track_id=entry["face"],
                time_s=entry["time_s"],
                eye_distance_px=entry["eye_distance_px"],
                before=before,
                after=after,
                kind=entry["kind"],
                generative=entry["generative"],
            )
        )
    return pairs


def _entry(pair: PagePair, x_px: int, y_px: int) -> dict[str, float | str | bool]:
    return {
        "face": pair.track_id,
        "kind": pair.kind,
        "time_s": pair.time_s,
        "eye_distance_px": pair.eye_distance_px,
        "x_px": x_px,
        "y_px": y_px,
        "side_px": pair.before.width,
        "generative": pair.generative,
    }


@cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(16)


@lru_cache(maxsize=16)
def _wrapped(text: str, width_px: int) -> tuple[str, ...]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font().getlength(longer) > width_px and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(lines)
