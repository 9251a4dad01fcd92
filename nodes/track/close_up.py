"""Detecting faces in a square of a picture: in a part of a scan, or around a known face."""

from __future__ import annotations

import math
from dataclasses import replace

import av
import numpy as np
import numpy.typing as npt

from nodes.geometry.alignment import roll_deg
from nodes.picture.regions import RegionReader
from nodes.track.appearance import appearance_of
from nodes.track.detector import Detection, FaceDetector, mean_of, mirror
from nodes.track.views import Square, View, cut_view
from nodes.types import Box, ColorTags

__all__ = ["FaceFinder", "square_around", "steady_square"]

_VIEW_OF_FACE = 3.5
"""Side of the square around a known face, in widths of its box. With 2.5 the small and turned faces
of the sample clips are lost in up to half of the frames, with 3.5 in 3 %; 4 finds no more."""

_LEAST_VIEW_PX = 96.0
"""Least side of that square, px. Of faces 14 to 20 px wide 75 % are found in a square of 96 px,
54 % in one of 3.5 widths, 68 % in one of 64 px, 66 % in one of 128 px."""

_STEADY = 0.06
"""The square around a known face is kept while it is off by less than this share of its side."""

_SAME_PLACE = 0.7
"""Largest distance of a detection from the expected box, in widths of the box."""

_SAME_SIZE = 1.7
"""Largest ratio of their widths."""

_TURN_STEP_DEG = 15
"""Views are rotated in steps, so that they do not follow the noise of the points."""


class FaceFinder:
    """Detects faces in squares of one video's pictures. Has its own detector."""

    def __init__(
        self,
        color: ColorTags,
        *,
        scan_score: float,
        min_score: float,
        keep_score: float,
        stretch: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Start the detector.

        Args:
            color: the video's colour tags.
            scan_score: least confidence in a scan, 0 to 1.
            min_score: least confidence in a close-up of a new face.
            keep_score: least confidence in a close-up of a known face.
            stretch: factors that make the video's pixels square; all positions are in square
                pixels.
        """
        self._detector = FaceDetector(scan_score)
        self._reader = RegionReader(color)
        self._stretch = stretch
        self._min_score = min_score
        self._keep_score = keep_score
        self.detections = 0
        """Number of runs of the detector."""

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()

    def close_up(
        self, picture: av.VideoFrame, box: Box, square: Square, *, known: bool
    ) -> Detection | None:
        """Detect one face in a square around it; a second time mirrored unless it is certain.

        Args:
            picture: of the video.
            box: expected box of the face.
            square: the part of the picture to search.
            known: whether the face belongs to a confirmed track.

        Returns:
            The face; None if it is not found or its score is too low.
        """
        view = cut_view(self._reader, picture, square, self._stretch)
        if view is None:
            return None
        first = _nearest(self._detect(picture, view), box)
        if first is None or (known and first.score >= self._min_score):
            return first
        second = _nearest(self._detect(picture, view, mirrored=True), first.box_xyxy_px)
        if second is None:
            return None
        both = mean_of(first, second)
        least = self._keep_score if known else self._min_score
        return both if both.score >= least else None

    def find_in_square(self, picture: av.VideoFrame, square: Square) -> list[Detection]:
        """Return the faces in a square of a picture."""
        view = cut_view(self._reader, picture, square, self._stretch)
        return [] if view is None else self._detect(picture, view)

    def _detect(
        self, picture: av.VideoFrame, view: View, *, mirrored: bool = False
    ) -> list[Detection]:
        """Return the faces in a view whose centre is inside the frame."""
        self.detections += 1
        if mirrored:
            side_px = view.rgb.shape[1]
            flipped = self._detector.detect(np.ascontiguousarray(view.rgb[:, ::-1]))
            inside_view = [mirror(find, side_px) for find in flipped]
        else:
            inside_view = self._detector.detect(view.rgb)
            inside_view = [
                replace(find, appearance=appearance_of(view.rgb, find.box_xyxy_px))
                for find in inside_view
            ]
        finds = [view.to_frame(find) for find in inside_view]
        size_px = np.array([picture.width, picture.height]) * self._stretch
        centres = [np.array(_centre(find.box_xyxy_px)) for find in finds]
        return [
            find
            for find, centre in zip(finds, centres, strict=True)
            if (centre >= 0).all() and (centre < size_px).all()
        ]


def _nearest(finds: list[Detection], box: Box) -> Detection | None:
    """Return the detection nearest to the centre of a box, of those of a similar size."""
    middle, width_px = np.array(_centre(box)), box[2] - box[0]
    alike = [
        (float(np.hypot(*(_centre(find.box_xyxy_px) - middle))), find)
        for find in finds
        if 1 / _SAME_SIZE < (find.box_xyxy_px[2] - find.box_xyxy_px[0]) / width_px < _SAME_SIZE
    ]
    distance_px, nearest = min(alike, key=lambda pair: pair[0], default=(math.inf, None))
    return nearest if distance_px <= _SAME_PLACE * width_px else None


def square_around(box: Box, points_px: npt.NDArray[np.float64]) -> Square:
    """Return the square in which to search a face: upright, at the best size for the detector."""
    turn_deg = round(roll_deg(points_px) / _TURN_STEP_DEG) * _TURN_STEP_DEG
    return Square(_centre(box), max(_VIEW_OF_FACE * (box[2] - box[0]), _LEAST_VIEW_PX), turn_deg)


def steady_square(before: Square | None, wanted: Square) -> Square:
    """Return the previous square while it is close enough to the wanted one.

    The detector's result depends on the square by some hundredths of the face's size, so that a
    face that does not move should be seen through the same square.
    """
    if before is None or before.turn_deg != wanted.turn_deg:
        return wanted
    moved_px = math.dist(before.centre_px, wanted.centre_px)
    grown = wanted.side_px / before.side_px
    alike = moved_px < _STEADY * wanted.side_px and 1 / (1 + _STEADY) < grown < 1 + _STEADY
    return before if alike else wanted


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
