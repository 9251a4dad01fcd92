"""Evidence that what the detector finds is a face: it also finds signs, wheels, hands and animals.

A face that looks at the camera is detected with a high score, and at the same points in its mirror
image. False detections have the geometry of such a face but a lower score, and other points in the
mirror image. Faces that are turned away have lower scores, too, but a small distance between the
eyes. So the evidence of one look is

    score - shift of the points in the mirror image - distance between the eyes

with both lengths in widths of the box. The weights are those of a logistic regression on 139 tracks
of 122 clips, which came out nearly equal; see docs/tracking.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from nodes.track.detector import Detection

__all__ = ["SURE_LIKENESS", "least_likeness", "likeness"]

SURE_LIKENESS: Final = 0.34
"""Likeness of one look that is enough. Faces that look at the camera have 0.4 to 0.5, false
detections seldom over 0.3."""

_LEAST: Final = (0.13, 0.22)
_WIDTHS_PX: Final = (20.0, 28.0)
"""Least mean likeness of faces up to the first width, and from the second on. Small faces have
lower scores, and their points move by fractions of a pixel."""

_EYES: Final = (0.2, 0.5)
"""Range of the distance between the eyes, in widths of the box: at less, the nose hides one."""


def likeness(found: Detection) -> float:
    """Return the evidence that a detection is a face: about -0.2 to 0.6.

    Args:
        found: the mean of a look and a mirrored one.
    """
    width_px = found.box_xyxy_px[2] - found.box_xyxy_px[0]
    eyes_px = float(np.hypot(*(found.points_px[1] - found.points_px[0])))
    eyes = float(np.clip(eyes_px / width_px, *_EYES))
    return found.score - found.mirror_shift - eyes


def least_likeness(width_px: float) -> float:
    """Return the least mean likeness that confirms a track.

    Args:
        width_px: of the face's box.
    """
    return float(np.interp(width_px, _WIDTHS_PX, _LEAST))
