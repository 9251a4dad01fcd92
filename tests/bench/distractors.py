"""Things that a detector may take for faces: signs, posters, hands, animals, cartoon faces.

They are drawn by code, or are glyphs of the font Noto Color Emoji (SIL Open Font License 1.1). Sets
0 and 1 were used to choose the limits of `nodes.track.likeness`; no limit was chosen by set 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.support.distractors import logo, smiley

__all__ = ["EMOJI_FONT", "distractors"]

EMOJI_FONT: Final = "NotoColorEmoji.ttf"
_GLYPHS_PX: Final = 109
"""The only size that the font's bitmaps have."""

_EMOJI: Final = {
    "signs": "🛑🚸⛔🚭☢☣🚷📵♿🆘🎯🕐🕙🔆☮☯🎱💿🛞⚽🧭🎡",
    "hands": "✋🖐👌👍✊🤘🤟👐🙏👏🤝🫶💅🦶",
    "animals": "🐶🐱🐭🐹🐰🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🦉🐺🐗🐴🦝🐙🦀",
    "cartoon faces": "😀😐😡😎🤓😱😴🤖👻💀🎃👽🤡👹⛄🌝🌞😺",
}
_UNSEEN: Final = {
    "signs": "🚦⚠📛🔴🅿🚾♻🎰🔘🎲",
    "hands": "☝🤙🤞🙌🦾🤲",
    "animals": "🐲🦄🦓🐫🐘🦏🐊🐢🦆🦇🐏🦌🐃🦥",
    "cartoon faces": "😃🥸🥶🤠🗿🎭👾🫥😷👶🤴🧔🎅🥳",
}
_WORDS: Final = ("OPEN", "BAR", "24h", "TAXI", "OO", "8:30", "CAFE", "8", "%", "oVo", "EXIT", "00")
_UNSEEN_WORDS: Final = ("PUB", "o_o", "SALE", "99", "HOTEL", "A8B")


def distractors(font: Path, *, part: int, seed: int) -> list[Image.Image]:
    """Return RGBA pictures about 109 px high, in random order.

    Args:
        font: Noto Color Emoji.
        part: number of the set, 0 to 2.
        seed: of the order.
    """
    if part < 2:
        neon = (_neon(word, place) for place, word in enumerate(_WORDS))
        drawn, glyphs, every = [*neon, *_posters(range(10)), *_drawings()], _EMOJI, 2
    else:
        neon = (_neon(word, place + 1) for place, word in enumerate(_UNSEEN_WORDS))
        drawn, glyphs, every, part = [*neon, *_posters(range(20, 24))], _UNSEEN, 1, 0
    kinds = [drawn, *([_emoji(font, glyph) for glyph in kind] for kind in glyphs.values())]
    chosen = [picture for kind in kinds for picture in kind[part::every]]
    order = np.random.default_rng(seed).permutation(len(chosen))
    return [chosen[place] for place in order]


def _emoji(path: Path, glyph: str) -> Image.Image:
    font = ImageFont.truetype(path, _GLYPHS_PX)
    image = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(image).text((8, 8), glyph, font=font, embedded_color=True)
    return image.crop(image.getbbox())


def _neon(word: str, place: int) -> Image.Image:
    """Draw letters as glowing tubes on a dark board, with a rim."""
    colour = ((255, 70, 90), (80, 220, 255), (255, 200, 60), (240, 240, 240))[place % 4]
    font = ImageFont.load_default(64)
    left, top, right, bottom = (round(side) for side in font.getbbox(word))
    image = Image.new("RGBA", (right - left + 40, bottom - top + 40), (18, 18, 26, 255))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(
        (3, 3, image.width - 4, image.height - 4), 12, outline=colour, width=3 + place % 3
    )
    draw.text((20 - left, 20 - top), word, font=font, fill=colour)
    return image


def _posters(seeds: Iterable[int]) -> list[Image.Image]:
    """Draw posters: blocks of colour, discs and lines of text."""
    made: list[Image.Image] = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        back, ink, spot = (tuple(int(c) for c in rng.integers(20, 250, 3)) for _ in range(3))
        image = Image.new("RGBA", (90, 120), (*back, 255))
        draw = ImageDraw.Draw(image)
        for _ in range(2 + seed % 3):
            x, y = (int(v) for v in rng.integers(10, 60, 2))
            r = int(rng.integers(6, 22))
            draw.ellipse((x, y, x + r, y + r), fill=(*spot, 255))
        draw.rectangle((15, 70, 75, 78), fill=(*ink, 255))
        font = ImageFont.load_default(13)
        for line in range(3):
            text = "".join(chr(int(c)) for c in rng.integers(65, 90, 9))
            draw.text((12, 82 + 12 * line), text, font=font, fill=(*ink, 255))
        made.append(image)
    return made


def _drawings() -> list[Image.Image]:
    """Draw things with two spots and something between: a car, a house, a socket, buttons."""
    draws: Sequence[Callable[[ImageDraw.ImageDraw], None]] = (_car, _house, _socket, _shirt)
    made: list[Image.Image] = []
    for drawing in draws:
        image = Image.new("RGBA", (110, 110))
        drawing(ImageDraw.Draw(image))
        made.append(image)
    return [*made, *(picture(109).convert("RGBA") for picture in (logo, smiley))]


def _car(draw: ImageDraw.ImageDraw) -> None:
    draw.rounded_rectangle((15, 20, 95, 60), 14, fill=(60, 70, 90))
    draw.rounded_rectangle((5, 48, 105, 95), 10, fill=(150, 30, 30))
    for x in (12, 76):
        draw.ellipse((x, 56, x + 22, 74), fill=(250, 250, 220), outline=(30, 30, 30))
    draw.rectangle((40, 66, 70, 74), fill=(20, 20, 20))
    draw.rectangle((36, 80, 74, 88), fill=(230, 230, 230))


def _house(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(((55, 3), (107, 40), (3, 40)), fill=(120, 50, 40))
    draw.rectangle((10, 40, 100, 107), fill=(225, 200, 170))
    for x in (20, 66):
        draw.rectangle((x, 48, x + 22, 68), fill=(40, 50, 70), outline=(250, 250, 250), width=2)
    draw.rectangle((42, 78, 68, 107), fill=(70, 40, 20))


def _socket(draw: ImageDraw.ImageDraw) -> None:
    draw.rounded_rectangle((5, 5, 105, 105), 16, fill=(235, 232, 225), outline=(160, 160, 160))
    for x in (34, 66):
        draw.ellipse((x, 36, x + 10, 46), fill=(20, 20, 20))
    draw.ellipse((49, 66, 61, 78), fill=(20, 20, 20))


def _shirt(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(((30, 5), (80, 5), (107, 40), (90, 107), (20, 107), (3, 40)), fill=(60, 90, 150))
    draw.polygon(((42, 5), (68, 5), (55, 34)), fill=(225, 180, 150))
    for y in range(45, 100, 16):
        draw.ellipse((52, y, 58, y + 6), fill=(240, 240, 240))
