"""Aligned views of faces: squares in which the eyes are always in the same place."""

from __future__ import annotations

import math
from typing import Final, cast

import av
import cv2
import numpy as np

from nodes.geometry.alignment import (
    Matrix,
    bounding_box,
    compose,
    crop_from_frame,
    invert,
    scaling,
    similarity_scale,
    translation,
)
from nodes.picture.layout import align_region, pixel_layout
from nodes.picture.regions import RegionReader
from nodes.types import Face, RgbImage, VideoInfo

__all__ = ["FaceViewer", "warped"]

_MOST_FINE: Final = 4
"""Most samples per side and pixel of the result."""
_EDGE_PX: Final = 3.0
"""Margin around the square for bicubic interpolation, in pixels of the frame."""


class FaceViewer:
    """Cuts squares around faces out of the frames of one video.

    Convention: the square is the network's (`nodes.geometry.alignment`), grown by a margin around
    its middle; beyond the frame it shows the frame's edge.
    """

    def __init__(
        self, size_px: int, margin: float, frames: VideoInfo, faces: VideoInfo | None = None
    ) -> None:
        """Prepare for a video.

        Args:
            size_px: side of the squares.
            margin: how much wider than the network's square, as a share of it.
            frames: the video that they are cut out of.
            faces: the video that the positions of faces are of, if its size differs.
        """
        faces = faces or frames
        self._size_px, self._margin = size_px, margin
        self._stretch = frames.stretch
        self._scale = frames.width_px / faces.width_px, frames.height_px / faces.height_px
        self._layout = pixel_layout(frames.pix_fmt)
        self._reader = RegionReader(frames.color)

    def view_from_frame(self, face: Face) -> Matrix:
        """Return the transform from the frame to a face's square."""
        square = face.stretched(*self._scale).stretched(*self._stretch)
        grown = 1 + self._margin
        inner_px = self._size_px / grown
        aligned = compose(crop_from_frame(square.points_px, 1), np.diag([*self._stretch, 0.0])[:2])
        edge_px = inner_px * self._margin / 2
        return compose(translation(edge_px, edge_px), compose(scaling(inner_px), aligned))

    def rgb(self, picture: av.VideoFrame, view_from_frame: Matrix) -> RgbImage | None:
        """Return a square, None if it is outside of the frame.

        Args:
            picture: of the video of `frames`.
            view_from_frame: from `view_from_frame`.

        Returns:
            Shape (size_px, size_px, 3); see `RgbImage`.
        """
        left, top, right, bottom = bounding_box(invert(view_from_frame), self._size_px)
        box = (left - _EDGE_PX, top - _EDGE_PX, right + _EDGE_PX, bottom + _EDGE_PX)
        region = align_region(box, self._layout, picture.width, picture.height)
        if region is None:
            return None
        rgb = self._reader.rgb(picture, region)
        return warped(rgb, compose(view_from_frame, translation(*region[:2])), self._size_px)


def warped(rgb: RgbImage, view_from_rgb: Matrix, size_px: int) -> RgbImage:
    """Warp a picture to a square, without aliasing.

    Args:
        rgb: shape (H, W, 3).
        view_from_rgb: 2x3, from its coordinates to those of the square.
        size_px: side of the square.

    Returns:
        Shape (size_px, size_px, 3), of the same type.
    """
    # Sampled finer than the result, as fine as the picture is, and averaged.
    fine = min(_MOST_FINE, max(1, math.ceil(1 / similarity_scale(view_from_rgb) - 0.25)))
    matrix = compose(scaling(fine), view_from_rgb)
    # OpenCV counts pixel centres as integers.
    matrix = compose(translation(-0.5, -0.5), compose(matrix, translation(0.5, 0.5)))
    side = size_px * fine
    flags = cv2.INTER_CUBIC
    large = cv2.warpAffine(rgb, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if fine > 1:
        large = cv2.resize(large, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return cast("RgbImage", large)
