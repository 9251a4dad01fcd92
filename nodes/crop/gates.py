"""The gates: which faces are restored, and by how much.

A gate opens gradually over a range, so that the result does not jump when a face passes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from nodes.crop.config import CropConfig
from nodes.crop.detail import detail
from nodes.geometry.alignment import pitch_deg, yaw_deg
from nodes.types import Box, Face, GateReason

__all__ = ["Share", "detail_shares", "gated", "reason_in_words", "shares"]

Share = tuple[float, GateReason]
"""The strength that a gate allows, 0 to 1, and the reason to report if it is 0."""


_LEAST_SHRINK: Final = 0.5
"""Largest shrink factor for `detail`: closer to 1, too little is lost to measure."""
_FADE_SCORE, _FADE_SIZE, _FADE_DEG, _FADE_DETAIL, _FADE_BLUR = 0.15, 1.2, 10.0, 1.6, 2.5
"""Widths of the gates' ranges: score, size (factor), degrees, detail (factor), blur (factor)."""
_BLOCKY: Final = (1.2, 1.42)
"""Block artefacts (`nodes.crop.blockiness`) up to which a face is not restored for them, and from
which on it is fully. Of training people without blur it is best to restore nothing without
compression and with JPEG at quality 93, 0.4 at quality 80, 0.9 at 55 and all at 30."""
_ENLARGED_PX: Final = 0.15
"""Blur that enlarging adds: standard deviation in source pixels."""


def reason_in_words(reason: GateReason, config: CropConfig) -> str:
    """Return texts that say why faces were not restored, with the limit.

    Args:
        reason: the gate.
        config: with the limits.
    """
    chosen = f"faces: {config.faces}" if config.faces != "all" else "by track, time or place"
    words: dict[GateReason, str] = {
        "unconfirmed": "seen too briefly to be sure that they are faces",
        "unlikely": "too little like faces (as signs, hands and animals are found at times)",
        "too_small": f"too small (under {config.min_eye_distance_px:g} px between the eyes)",
        "too_large": f"too large (over {config.max_eye_distance_px or math.inf:g} px between the"
        " eyes)",
        "low_score": f"too unsure (the detector's confidence is under {config.min_score:g})",
        "turned": f"turned away (over {config.max_yaw_deg:g} degrees to a side or"
        f" {config.max_pitch_deg:g} up or down)",
        "blurred": "too blurred (they show no more than a face that is too small)",
        "sharp": "sharp already (they lack nothing at the output's size)",
        "outside": "cut off (their middle is outside the picture)",
        "not_selected": f"not asked for ({chosen})",
    }
    return words[reason]


def _rising(value: float, none: float, full: float) -> float:
    """Return 0 up to `none`, 1 from `full` on, and interpolate linearly in between."""
    return min(max((value - none) / (full - none), 0.0), 1.0)


def gated(faces: Sequence[Face], time_s: float, config: CropConfig) -> list[GateReason | None]:
    """Return for each face of a frame why it is not restored, or None if it is."""
    reasons: list[GateReason | None] = [_gate(face, time_s, config) for face in faces]
    if config.faces != "all":
        worth = [index for index, reason in enumerate(reasons) if reason is None]
        worth.sort(key=lambda index: -faces[index].eye_distance_px)
        for index in worth[1 if config.faces == "largest" else config.faces :]:
            reasons[index] = "not_selected"
    return reasons


def _gate(face: Face, time_s: float, config: CropConfig) -> GateReason | None:
    if not face.confirmed:
        return "unlikely" if face.unlikely else "unconfirmed"
    if not _is_asked_for(face, time_s, config):
        return "not_selected"
    return next((reason for share, reason in shares(face, config) if share == 0), None)


def shares(face: Face, config: CropConfig) -> tuple[Share, ...]:
    """Return the strength that each gate of score, size and pose allows a face."""
    eyes_px, most_px = face.eye_distance_px, config.max_eye_distance_px
    least_px = config.min_eye_distance_px
    yaw, pitch = abs(yaw_deg(face.points_px)), abs(pitch_deg(face.points_px))
    small_enough = 1.0 if most_px is None else _rising(-eyes_px, -most_px, -most_px / _FADE_SIZE)
    return (
        (_rising(face.score, config.min_score, config.min_score + _FADE_SCORE), "low_score"),
        (_rising(eyes_px, least_px, least_px * _FADE_SIZE), "too_small"),
        (small_enough, "too_large"),
        (_rising(-yaw, -config.max_yaw_deg, _FADE_DEG - config.max_yaw_deg), "turned"),
        (_rising(-pitch, -config.max_pitch_deg, _FADE_DEG - config.max_pitch_deg), "turned"),
    )


def detail_shares(
    face: Face,
    luma: npt.NDArray[np.floating],
    box: Box,
    blur_px: float,
    blocky: float,
    config: CropConfig,
) -> tuple[Share, ...]:
    """Return the strength that the gates of detail, blur and block artefacts allow a face."""
    found: list[Share] = []
    if config.min_detail:
        shrink = min(_LEAST_SHRINK, config.min_eye_distance_px / face.eye_distance_px)
        shown = detail(luma, shrink, box)
        full = min(1.0, config.min_detail * _FADE_DETAIL) + 1e-6
        found.append((_rising(shown, config.min_detail, full), "blurred"))
    if config.min_blur_px:
        least_px, scale = config.min_blur_px, config.scale
        shown_px = math.sqrt((scale * blur_px) ** 2 + (scale**2 - 1) * _ENLARGED_PX**2)
        soft = _rising(shown_px, least_px, least_px * _FADE_BLUR)
        # Either is a reason to restore.
        found.append((1 - (1 - soft) * (1 - _rising(blocky, *_BLOCKY)), "sharp"))
    return tuple(found)


def _is_asked_for(face: Face, time_s: float, config: CropConfig) -> bool:
    if config.times_s is not None and not config.times_s[0] <= time_s < config.times_s[1]:
        return False
    if config.track_ids is not None and face.track_id not in config.track_ids:
        return False
    if config.region_xyxy_px is None:
        return True
    left, top, right, bottom = config.region_xyxy_px
    x0, y0, x1, y1 = face.box_xyxy_px
    return left <= (x0 + x1) / 2 < right and top <= (y0 + y1) / 2 < bottom
