"""Looking for faces in a square of a picture: a part that is scanned, or a known face close up."""

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
"""Side of the square around a known face, in widths of its box. At 2.5 the samples' small
and turned faces are lost in up to half of the frames, at 3.5 in 3 %; 4 finds no more."""

_LEAST_VIEW_PX = 96.0
"""Smaller squares would have to be enlarged: of faces 14 to 20 px wide 75 % are found in a square
of 96 px, 54 % in one of 3.5 widths, 68 % in one of 64 px, 66 % in one of 128 px."""

_STEADY = 0.06
"""Share of its side by which the square around a known face may be off before it follows."""

_SAME_PLACE = 0.7
"""Farthest a close-up's find may lie from where it was looked for, in widths of the box."""

_SAME_SIZE = 1.7
"""Most that its width may differ by, as a factor."""

_TURN_STEP_DEG = 15
"""Views are turned in steps, so that the points' noise does not turn the view."""


class FaceFinder:
    """Looks for faces in squares of one video's pictures, with a detector of its own."""

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
            scan_score: least confidence of what a scan finds, 0 to 1.
            min_score: least confidence at which a face counts when seen close up.
            keep_score: the same of a face that is known.
            stretch: makes the video's pixels square; places are in those, here and in what follows.
        """
        self._detector = FaceDetector(scan_score)
        self._reader = RegionReader(color)
        self._stretch = stretch
        self._min_score = min_score
        self._keep_score = keep_score
        self.detections = 0
        """How often the detector has run."""

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()

    def close_up(
        self, picture: av.VideoFrame, box: Box, square: Square, *, known: bool
    ) -> Detection | None:
        """Look for one face close up: twice, unless it is known and seen surely.

        Args:
            picture: of the video.
            box: where the face should be, xyxy.
            square: what to look at.
            known: whether a confirmed face was followed to there.

        Returns:
            The face, None if there is none or the detector is not sure enough of it.
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
        """Return the faces in a view whose middle lies in the frame."""
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
    """Return the find nearest the middle of a box, of those that may be the same face."""
    middle, width_px = np.array(_centre(box)), box[2] - box[0]
    alike = [
        (float(np.hypot(*(_centre(find.box_xyxy_px) - middle))), find)
        for find in finds
        if 1 / _SAME_SIZE < (find.box_xyxy_px[2] - find.box_xyxy_px[0]) / width_px < _SAME_SIZE
    ]
    distance_px, nearest = min(alike, key=lambda pair: pair[0], default=(math.inf, None))
    return nearest if distance_px <= _SAME_PLACE * width_px else None


def square_around(box: Box, points_px: npt.NDArray[np.float64]) -> Square:
    """Return the square to look at a face in: upright, as large as serves the detector best."""
    turn_deg = round(roll_deg(points_px) / _TURN_STEP_DEG) * _TURN_STEP_DEG
    return Square(_centre(box), max(_VIEW_OF_FACE * (box[2] - box[0]), _LEAST_VIEW_PX), turn_deg)


def steady_square(before: Square | None, wanted: Square) -> Square:
    """Stay with the square before while it does as well.

    The detector's answer moves with the square it is shown, by some hundredths of a face: seen
    through the same square, a face that stays where it is does stay.
    """
    if before is None or before.turn_deg != wanted.turn_deg:
        return wanted
    moved_px = math.dist(before.centre_px, wanted.centre_px)
    grown = wanted.side_px / before.side_px
    alike = moved_px < _STEADY * wanted.side_px and 1 / (1 + _STEADY) < grown < 1 + _STEADY
    return before if alike else wanted


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
