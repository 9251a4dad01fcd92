"""Things that MediaPipe's detector takes for faces, drawn by code."""

from __future__ import annotations

from PIL import Image, ImageDraw

__all__ = ["logo", "smiley"]


def logo(side_px: int) -> Image.Image:
    """Draw a crossed ring on a black disc."""
    image = Image.new("RGB", (side_px, side_px), (120, 130, 135))
    draw, s, white = ImageDraw.Draw(image), side_px, (240, 240, 240)
    width_px = max(1, s // 14)
    draw.ellipse((0, 0, s - 1, s - 1), fill=(8, 8, 8))
    draw.ellipse((0.27 * s, 0.27 * s, 0.73 * s, 0.73 * s), outline=white, width=width_px)
    draw.line((0.3 * s, 0.72 * s, 0.74 * s, 0.26 * s), fill=white, width=width_px)
    return image


def smiley(side_px: int) -> Image.Image:
    """Draw two eyes and a mouth on a yellow disc."""
    image = Image.new("RGB", (side_px, side_px), (110, 120, 130))
    draw, s = ImageDraw.Draw(image), side_px
    draw.ellipse((0, 0, s - 1, s - 1), fill=(250, 210, 60), outline=(60, 40, 0))
    for x in (0.33, 0.67):
        draw.ellipse(((x - 0.07) * s, 0.28 * s, (x + 0.07) * s, 0.46 * s), fill=(30, 20, 10))
    mouth = (0.22 * s, 0.35 * s, 0.78 * s, 0.82 * s)
    draw.arc(mouth, 20, 160, fill=(90, 30, 10), width=max(1, s // 16))
    return image
