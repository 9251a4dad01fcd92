"""What is said of pixels that become others."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nodes.media.picture_formats import animation_format, photo_format
from nodes.picture.png_chunks import png_chunk
from pipeline.pictures.losses import animation_losses, conversion


def opaque_but_for_one_pixel(alpha: int) -> Any:
    samples = np.full((4, 4, 4), 255, np.uint8)
    samples[0, 0, 3] = alpha
    return samples


@pytest.mark.parametrize("pix_fmt", ["bgra", "pal8"])
@pytest.mark.parametrize(("alpha", "words"), [(255, ""), (0, " with transparency")])
def test_transparency_of_a_palette_is_told_where_there_is_some(
    pix_fmt: str, alpha: int, words: str
) -> None:
    samples = opaque_but_for_one_pixel(alpha)
    png, gif = photo_format("a.png"), animation_format("a.gif")
    assert png is not None
    assert gif is not None
    said = f"a palette{words} written as 8-bit colour{words}"
    assert conversion("a.gif", pix_fmt, samples, png) == said
    assert conversion("a.gif", pix_fmt, samples, gif) is None


def test_an_animation_tells_what_its_pictures_files_say_once_for_all(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("Author", "me")
    for number in range(3):
        extra: dict[str, Any] = {"pnginfo": texts} if number else {}
        Image.new("RGB", (8, 8)).save(tmp_path / f"p_{number}.png", **extra)
    assert animation_losses(str(tmp_path / "p_%d.png")) == ["left out of 2 pictures: texts"]
    assert animation_losses(str(tmp_path / "p_1.png")) == ["left out of 1 picture: texts"]
    assert animation_losses("http://host/p_1.png") == []


def test_a_profile_that_is_there_twice_is_told_once(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(source)
    profile = png_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(bytes(200)))
    content = source.read_bytes()
    source.write_bytes(content[:33] + profile + profile + content[33:])
    said = ["left out of 1 picture: the colour profile (damaged, repeated or too large)"]
    assert animation_losses(str(source)) == said


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
@pytest.mark.parametrize(
    ("alpha", "said"),
    [(255, None), (254, "8-bit colour with transparency written as 8-bit colour")],
)
def test_transparency_that_no_pixel_has_is_not_lost(
    name: str, alpha: int, said: str | None
) -> None:
    """A lossless WebP is always decoded with transparency."""
    samples = opaque_but_for_one_pixel(alpha)
    jpeg, png = photo_format("a.jpg"), photo_format("a.png")
    assert jpeg is not None
    assert png is not None
    assert conversion(name, "bgra", samples, jpeg) == said
    assert conversion(name, "bgra", samples, png) is None
