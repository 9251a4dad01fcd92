"""Drawing text and lines onto a frame in its own pixel format.

Convention: positions are given as a viewer sees them, after the display matrix. Only the samples of
the drawn regions change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nodes.picture.layout import Region, align_region, pixel_layout
from nodes.picture.regions import RegionReader
from nodes.picture.residual import add_rgb_residual
from nodes.types import Box, VideoInfo

__all__ = ["Canvas", "Rgb", "Sign", "turned"]

Rgb = tuple[int, int, int]

_BACKDROP: Final = 0.6
"""Opacity of the dark rectangle behind a text."""
_TURNS: Final = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""Counterclockwise turns that the player's clockwise rotation undoes."""


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """Something to draw, as it lies in the coded frame."""

    color: npt.NDArray[np.float32]
    """Shape (height, width, 3), 0 to 1."""
    opacity: npt.NDArray[np.float32]
    """Shape (height, width), 0 to 1."""


class Canvas:
    """Draws on the frames of one video. Used by one thread."""

    def __init__(self, info: VideoInfo) -> None:
        """Prepare for a video.

        Args:
            info: of the frames to draw on.
        """
        self._info = info
        self._layout = pixel_layout(info.pix_fmt)
        self._reader = RegionReader(info.color)
        coded = info.width_px, info.height_px
        self.size_px = coded if info.rotation_deg % 180 == 0 else (coded[1], coded[0])
        """Width and height of the frame as a viewer sees it."""

    def shown(self, coded: Box) -> Box:
        """Return where a viewer sees a box of the coded frame."""
        return turned(coded, self._info.rotation_deg, (self._info.width_px, self._info.height_px))

    def text_size(self, text: str, size_px: int) -> tuple[int, int]:
        """Return the width and height of a text with its backdrop, as a viewer sees it."""
        sign = text_sign(text, size_px, self._info.rotation_deg, self._narrowed)
        height, width = sign.opacity.shape
        return (width, height) if self._info.rotation_deg % 180 == 0 else (height, width)

    def text(
        self, picture: av.VideoFrame, text: str, x_px: float, y_px: float, size_px: int
    ) -> Region | None:
        """Write a text on a dark backdrop, moved inside the frame where it would reach out.

        Args:
            picture: changed in place.
            text: one line.
            x_px: left edge, as a viewer sees it.
            y_px: top edge.
            size_px: height of the letters.

        Returns:
            The region of the coded frame that changed.
        """
        width, height = self.text_size(text, size_px)
        x = min(max(0, round(x_px)), max(0, self.size_px[0] - width))
        y = min(max(0, round(y_px)), max(0, self.size_px[1] - height))
        sign = text_sign(text, size_px, self._info.rotation_deg, self._narrowed)
        return self._draw(picture, self._coded((x, y, x + width, y + height)), sign)

    def frame(self, picture: av.VideoFrame, box: Box, color: Rgb, line_px: int) -> list[Region]:
        """Draw the outline of a box.

        Args:
            picture: changed in place.
            box: as a viewer sees it.
            color: of the line.
            line_px: its width.

        Returns:
            The regions of the coded frame that changed.
        """
        x0, y0, x1, y1 = (round(value) for value in box)
        inner = y0 + line_px, y1 - line_px
        edges = [
            (x0, y0, x1, y0 + line_px),
            (x0, y1 - line_px, x1, y1),
            (x0, inner[0], x0 + line_px, inner[1]),
            (x1 - line_px, inner[0], x1, inner[1]),
        ]
        drawn: list[Region] = []
        for edge in edges:
            left, top, right, bottom = self._coded(edge)
            if right <= left or bottom <= top:
                continue
            shape = round(bottom - top), round(right - left)
            paint = np.full((*shape, 3), np.array(color, np.float32) / 255, np.float32)
            sign = Sign(paint, np.ones(shape, np.float32))
            region = self._draw(picture, (left, top, right, bottom), sign)
            drawn += [] if region is None else [region]
        return drawn

    @property
    def _narrowed(self) -> float:
        """How much narrower a square is in the coded frame than it is high."""
        return float(1 / self._info.sample_aspect_ratio)

    def _coded(self, shown: Box) -> Box:
        return turned(shown, -self._info.rotation_deg % 360, self.size_px)

    def _draw(self, picture: av.VideoFrame, at: Box, sign: Sign) -> Region | None:
        region = align_region(at, self._layout, picture.width, picture.height)
        if region is None:
            return None
        x0, y0, x1, y1 = region
        left, top = round(at[0]), round(at[1])
        # The part of the sign inside the frame, in the region's coordinates.
        height, width = sign.opacity.shape
        rows = slice(max(top, y0), min(top + height, y1))
        columns = slice(max(left, x0), min(left + width, x1))
        source = (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
        target = (
            slice(rows.start - y0, rows.stop - y0),
            slice(columns.start - x0, columns.stop - x0),
        )
        opacity = np.zeros((y1 - y0, x1 - x0), np.float32)
        color = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
        opacity[target], color[target] = sign.opacity[source], sign.color[source]
        own = self._reader.rgb(picture, region).astype(np.float32)
        own /= np.float32((1 << self._layout.bit_depth) - 1)
        add_rgb_residual(picture, region, (color - own) * opacity[..., None], self._info.color)
        return region


def turned(box: Box, clockwise_deg: int, size_px: tuple[int, int]) -> Box:
    """Return a box of a picture after the picture was turned.

    Args:
        box: in the picture before.
        clockwise_deg: 0, 90, 180 or 270.
        size_px: width and height of the picture before.
    """
    width, height = size_px
    for _ in range(clockwise_deg // 90):
        x0, y0, x1, y1 = box
        box = (height - y1, x0, height - y0, x1)
        width, height = height, width
    return box


@lru_cache(maxsize=256)
def text_sign(text: str, size_px: int, rotation_deg: int, narrowed: float) -> Sign:
    """Return a light text on a dark backdrop, turned as it lies in the coded frame.

    Args:
        text: one line.
        size_px: height of the letters.
        rotation_deg: the player's rotation, which it undoes.
        narrowed: how much narrower a square is in the coded frame than it is high.
    """
    font = ImageFont.load_default(size_px)
    pad = max(1, size_px // 4)
    left, top, right, bottom = font.getbbox(text)
    size = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    ink = Image.new("L", size)
    ImageDraw.Draw(ink).text((pad - left, pad - top), text, 255, font)
    if rotation_deg:
        ink = ink.transpose(_TURNS[rotation_deg])
    if narrowed != 1:
        width = max(1, round(ink.width * narrowed))
        ink = ink.resize((width, ink.height), Image.Resampling.BICUBIC)
    letters = np.asarray(ink, np.float32) / np.float32(255)
    opacity = np.asarray(_BACKDROP + (1 - _BACKDROP) * letters, np.float32)
    light = np.asarray(0.95 * letters / opacity, np.float32)
    return Sign(np.repeat(light[..., None], 3, axis=2), opacity)
