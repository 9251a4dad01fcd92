"""Which faces are restored, and how large AMINet sees them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nodes.node import NodeConfig
from nodes.types import Box

__all__ = ["CropConfig"]


def _ascending(sizes_px: tuple[int, ...]) -> tuple[int, ...]:
    if not sizes_px or any(size % 32 or size < 64 for size in sizes_px):
        raise ValueError(f"sizes_px is {sizes_px}; expected multiples of 32, at least 64")
    return tuple(sorted(sizes_px))


def _not_empty(box: Box) -> Box:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f"region_xyxy_px is {box}; expected left < right and top < bottom")
    return box


def _in_order(times_s: tuple[float, float]) -> tuple[float, float]:
    if not times_s[0] < times_s[1]:
        raise ValueError(f"times_s is {times_s}; expected a time and a later one")
    return times_s


class CropConfig(NodeConfig):
    """Which faces are restored, and how large AMINet sees them."""

    scale: int = Field(default=1, ge=1, le=4)
    """Output pixels per source pixel. It travels with the faces: the frames that they are put back
    into are enlarged as much."""
    min_eye_distance_px: float = Field(default=5.0, ge=2)
    """Smaller faces hold too little to restore: anything drawn there would be invented."""
    max_eye_distance_px: float | None = Field(default=None, gt=0)
    """Larger faces are left alone; none: any size is restored that is soft."""
    min_score: float = Field(default=0.5, ge=0, le=1)
    """Least confidence of the detector in this frame."""
    max_yaw_deg: float = Field(default=55.0, ge=0, le=90)
    """Faces turned farther to a side are unlike those the network was trained on."""
    max_pitch_deg: float = Field(default=40.0, ge=0, le=90)
    """Faces that look farther up or down are unlike those the network was trained on."""
    min_detail: float = Field(default=0.05, ge=0, le=1)
    """Least share of its contrast that a face must owe to detail finer than a face of
    `min_eye_distance_px` has (than one of half its size, if that is less): one blurred more holds
    as little. 0 takes every face."""
    min_blur_px: float = Field(default=0.2, ge=0)
    """A face that is softer in the output than a sharp one of its size by less than this blur is
    left as it is (standard deviation, in output pixels); from three times as much on it gets all of
    its restoration. 0 takes every face."""
    faces: Literal["all", "largest"] | Annotated[int, Field(ge=1)] = "all"
    """How many faces a frame: `all`, the `largest`, or the so many largest of those worth
    restoring. Judged in each frame; for a choice that stays, name `track_ids`."""
    track_ids: tuple[int, ...] | None = None
    """Only faces of these tracks (the contact sheet shows their numbers); none: of every track."""
    times_s: Annotated[tuple[float, float], AfterValidator(_in_order)] | None = None
    """Only faces from the first to before the second of these times, as sheets and `tracks.jsonl`
    show them (presentation times); none: at any time."""
    region_xyxy_px: Annotated[Box, AfterValidator(_not_empty)] | None = None
    """Only faces whose middle lies in this part of the source frame; none: anywhere."""
    sizes_px: Annotated[tuple[int, ...], AfterValidator(_ascending)] = (128, 192, 256, 384, 512)
    """Sides of AMINet's square to choose from: the smallest that holds what the output can show of
    the face, or four times the detail that it shows now; else the largest."""

    def uncut_reason(self) -> str | None:
        """See `NodeConfig`."""
        if self.track_ids is None:
            return None
        return "faces are chosen by their numbers, which hold for the whole video"
