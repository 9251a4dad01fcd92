"""The settings of `crop`."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

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


def _counted(value: object) -> object:
    """Convert the text of a whole number, as on the command line; return other values unchanged."""
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)


class CropConfig(NodeConfig):
    """Which faces are restored, and at which size of the network's input."""

    scale: int = Field(default=1, ge=1, le=4)
    """Output pixels per source pixel. It is passed on with the faces, and `paste` enlarges the
    frames by it."""
    min_eye_distance_px: float = Field(default=5.0, ge=2)
    """Smaller faces are not restored, because they contain too little information."""
    max_eye_distance_px: float | None = Field(default=None, gt=0)
    """Larger faces are not restored; None: no limit."""
    min_score: float = Field(default=0.5, ge=0, le=1)
    """Least confidence of the detector in this frame."""
    max_yaw_deg: float = Field(default=55.0, ge=0, le=90)
    """Faces turned farther to a side are not restored: the network was not trained on them."""
    max_pitch_deg: float = Field(default=40.0, ge=0, le=90)
    """Faces turned farther up or down are not restored: the network was not trained on them."""
    min_detail: float = Field(default=0.05, ge=0, le=1)
    """Least share of a face's contrast in detail finer than a face of `min_eye_distance_px` shows
    (or one of half its size, if smaller). Faces blurred more are not restored. 0 disables it."""
    min_blur_px: float = Field(default=0.2, ge=0)
    """Least blur of a face to restore: standard deviation in output pixels, relative to a sharp
    face of its size. From two and a half times as much on it is restored fully. Sharper ones are
    restored as far as they show block artefacts. 0 disables it."""
    faces: Annotated[
        Literal["all", "largest"] | Annotated[int, Field(ge=1)], BeforeValidator(_counted)
    ] = "all"
    """How many faces per frame to restore: `all`, the `largest`, or a number of the largest. Chosen
    in each frame; use `track_ids` to restore the same faces in all frames."""
    track_ids: tuple[int, ...] | None = None
    """Restore only these tracks, by the numbers on the contact sheet; None: all."""
    times_s: Annotated[tuple[float, float], AfterValidator(_in_order)] | None = None
    """Restore faces only from the first to before the second time: presentation times, as in sheets
    and `tracks.jsonl`; None: at all times."""
    region_xyxy_px: Annotated[Box, AfterValidator(_not_empty)] | None = None
    """Restore only faces whose centre is in this part of the source frame; None: anywhere."""
    sizes_px: Annotated[tuple[int, ...], AfterValidator(_ascending)] = (128, 192, 256, 384, 512)
    """Sides of the network's input to choose from: the smallest that has the output's resolution,
    or 4.5 times the detail of the source, whichever is less; else the largest."""

    def uncut_reason(self) -> str | None:
        """See `NodeConfig`."""
        if self.track_ids is None:
            return None
        return "faces are chosen by their numbers, which hold for the whole video"
