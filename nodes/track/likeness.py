"""Evidence that what the detector finds is a face: it also finds signs, wheels, hands and animals.

A face that looks at the camera is detected with a high score, and at the same points in its mirror
image. False detections have the geometry of such a face but a lower score, and other points in the
mirror image. Faces that are turned away have lower scores, too, but a small distance between the
eyes. So the evidence of one look is

    score - shift of the points in the mirror image - distance between the eyes

with both lengths in widths of the box. The weights are those of a logistic regression on 139 tracks
of 122 clips, which came out nearly equal. Drawn faces and signs that hang on a wall look the same
in every frame, which a living face does not. See docs/tracking.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from nodes.track.detector import Detection

__all__ = ["SURE_LIKENESS", "is_like_a_face", "likeness"]

SURE_LIKENESS: Final = 0.38
"""Likeness of one look that is enough. Faces that look at the camera have 0.4 to 0.5, false
detections seldom over 0.35."""

_LEAST: Final = (0.18, 0.22)
_WIDTHS_PX: Final = (20.0, 28.0)
"""Least mean likeness of faces up to the first width, and from the second on. Small faces have
lower scores, and their points move by fractions of a pixel."""

_LIVING: Final = 0.02
"""Standard deviation of the likeness, from look to look, below which it may be a picture of a face.
A face that breathes, blinks and turns varies by 0.03 to 0.1."""
_ENOUGH_LOOKS: Final = 5
"""From so many looks on, the standard deviation is estimated from the median deviation: one or two
looks that differ, as at a keyframe, which shows even a drawing slightly changed, are no motion."""
_DEVIATIONS_PER_MEDIAN: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_PICTURED: Final = 0.08
"""What a picture needs more: drawn faces and signs that do not move have up to 0.27."""
_FEWEST_LOOKS: Final = 3
"""With fewer it is not known whether it moves."""

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


def is_like_a_face(looks: Sequence[float], width_px: float) -> bool:
    """Return whether the likeness of a track's last looks is enough on average.

    Args:
        looks: their likeness, at least one.
        width_px: of the face's box.
    """
    least = float(np.interp(width_px, _WIDTHS_PX, _LEAST))
    if len(looks) >= _FEWEST_LOOKS and _spread(looks) < _LIVING:
        least += _PICTURED
    return float(np.mean(looks)) >= least


def _spread(looks: Sequence[float]) -> float:
    """Return the standard deviation, without outliers if there are enough looks."""
    if len(looks) < _ENOUGH_LOOKS:
        return float(np.std(looks))
    from_middle = np.abs(np.array(looks) - np.median(looks))
    return _DEVIATIONS_PER_MEDIAN * float(np.median(from_middle))
