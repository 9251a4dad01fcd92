"""Small upright squares cut out of a frame for the detector, and where to cut them.

The detector sees 128x128 pixels and upright faces only. A view is such a square: any place, size
and turn in the frame, made from that region alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from nodes.geometry.alignment import Matrix, apply, bounding_box
from nodes.picture.layout import align_region, pixel_layout
from nodes.picture.regions import RegionReader
from nodes.track.detector import DETECTOR_SIDE_PX, Detection

__all__ = ["Square", "View", "cut_view", "scan_squares"]


@dataclass(frozen=True, slots=True)
class Square:
    """A square place in the frame."""

    centre_px: tuple[float, float]
    side_px: float
    turn_deg: float = 0.0
    """Clockwise angle in the frame of the direction that is to the right in the view."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the detector is shown."""

    rgb: npt.NDArray[np.uint8]
    """Shape (128, 128, 3); black where the square leaves the frame."""
    frame_from_view: Matrix

    def to_frame(self, found: Detection) -> Detection:
        """Take a detection in the view to the frame; the box stays upright, around its centre."""
        points = apply(self.frame_from_view, found.points_px)
        x0, y0, x1, y1 = found.box_xyxy_px
        ((x, y),) = apply(self.frame_from_view, np.array([((x0 + x1) / 2, (y0 + y1) / 2)]))
        half = (x1 - x0) / 2 * math.hypot(*self.frame_from_view[:, 0])
        box = (x - half, y - half, x + half, y + half)
        return replace(found, box_xyxy_px=box, points_px=points)


def cut_view(reader: RegionReader, picture: av.VideoFrame, square: Square) -> View | None:
    """Cut a square out of a picture; None when it lies outside."""
    out_px = DETECTOR_SIDE_PX
    frame_from_view = _frame_from_view(square, out_px)
    box = bounding_box(frame_from_view, out_px)
    layout = pixel_layout(picture.format.name)
    region = align_region(box, layout, picture.width, picture.height)
    if region is None:
        return None
    x0, y0, x1, y1 = region
    # swscale shrinks with an area filter; enlarging and turning are left to the warp below.
    shrink = min(1.0, out_px / square.side_px)
    width_px = max(1, round((x1 - x0) * shrink))
    height_px = max(1, round((y1 - y0) * shrink))
    small = reader.thumbnail(picture, region, width_px, height_px)
    scale = np.array([[width_px / (x1 - x0)], [height_px / (y1 - y0)]])
    small_from_view = scale * (frame_from_view - np.array([[0, 0, x0], [0, 0, y0]]))
    # Pillow, too, puts pixel centres at +0.5.
    image = Image.fromarray(small).transform(
        (out_px, out_px),
        Image.Transform.AFFINE,
        tuple(small_from_view.ravel()),
        Image.Resampling.BILINEAR,
    )
    return View(np.asarray(image), frame_from_view)


def scan_squares(
    width_px: int, height_px: int, *, min_face_px: float, turn_deg: float
) -> list[Square]:
    """Return the squares that a full scan looks at, the large ones first.

    Each is at most `_FACES_PER_SIDE` times as wide as the smallest face it must show, so it takes
    several sizes: the whole frame in one square, then about halves, down to `min_face_px`.
    """
    largest_px = float(max(width_px, height_px))
    span = max(1.0, largest_px / max(min_face_px * _FACES_PER_SIDE, 16.0))
    steps = max(1, round(math.log2(span)))
    sides_px = [largest_px / span ** (step / steps) for step in range(steps + 1)]
    return [
        Square((x, y), side_px, turn_deg)
        for side_px in sides_px
        for y in _centres(height_px, side_px)
        for x in _centres(width_px, side_px)
    ]


_FACES_PER_SIDE = 8
"""How many times its own width a face may have around it and still be found for certain."""

_OVERLAP = 0.3
"""Of two neighbouring squares: more than the widest face that only this size of square finds."""


def _centres(length_px: int, side_px: float) -> list[float]:
    if side_px >= length_px:
        return [length_px / 2]
    count = 1 + math.ceil((length_px - side_px) / (side_px * (1 - _OVERLAP)))
    step_px = (length_px - side_px) / (count - 1)
    return [side_px / 2 + index * step_px for index in range(count)]


def _frame_from_view(square: Square, out_px: int) -> Matrix:
    angle, scale = math.radians(square.turn_deg), square.side_px / out_px
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    half, (x, y) = out_px / 2, square.centre_px
    return np.array(
        [[cos, -sin, x - half * (cos - sin)], [sin, cos, y - half * (sin + cos)]], np.float64
    )
