"""Renders the undegraded scenes, frame by frame, in reference pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tools.samples.backdrop import camera_caption, planter, street_backdrop
from tools.samples.matte import MARGIN_PX, cut_out
from tools.samples.scene import REFERENCE_SCALE, Person, Video
from tools.samples.truth import ClipFace

__all__ = ["Cast", "Placement", "portrait_frames", "street_frames"]

Rgb = npt.NDArray[np.uint8]

STREET_FRAME = 42
"""The frame of `clip_woman_tram` that shows an empty street from above."""
BEHIND_THE_PLANTER = 3
"""How many of the street's people, from the farthest, stand behind the hedge."""


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """A person with what is known of the clip they come from."""

    person: Person
    frames: dict[int, Rgb]
    """The clip's frames by number."""
    faces: dict[int, ClipFace]
    """Their face in each of these frames."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Scale and shift from clip pixels to reference pixels."""

    scale: float
    shift_px: tuple[float, float]

    def to_sample_px(self, points_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Maps clip points, shape (..., 2), to sample pixels."""
        return (points_px * self.scale + np.asarray(self.shift_px)) / REFERENCE_SCALE


def place(cast: Cast, position_px: tuple[float, float]) -> Placement:
    """Puts the first frame's nose at `position_px`, in sample pixels."""
    nose = cast.faces[cast.person.first_frame].nose_px
    scale = cast.person.scale
    x, y = (REFERENCE_SCALE * p - scale * n for p, n in zip(position_px, nose, strict=True))
    return Placement(scale, (x, y))


def street_frames(
    video: Video, casts: list[Cast], street_frame: Rgb
) -> Iterator[tuple[Image.Image, list[tuple[Cast, int, Placement]]]]:
    """Yields each picture of the street with who is where: cast, clip frame, placement."""
    size = (video.width_px * REFERENCE_SCALE, video.height_px * REFERENCE_SCALE)
    backdrop = street_backdrop(street_frame, size)
    hedge = planter(size, np.random.default_rng(video.seed))
    cut_outs = {cast.person.name: _cut_outs(cast) for cast in casts}
    for slot in video.shown_slots:
        time_s = slot / video.rate_hz
        picture = backdrop.copy()
        shown: list[tuple[Cast, int, Placement]] = []
        for order, cast in enumerate(casts):
            if order == BEHIND_THE_PLANTER:
                picture.paste(hedge, (0, 0), hedge)
            number = cast.person.clip_frame(slot)
            placement = place(cast, cast.person.place_px(time_s))
            _paste(picture, cut_outs[cast.person.name][number], placement)
            shown.append((cast, number, placement))
        camera_caption(picture, time_s)
        yield picture, shown


def portrait_frames(
    video: Video, cast: Cast
) -> Iterator[tuple[Image.Image, list[tuple[Cast, int, Placement]]]]:
    """Yields each picture of the portrait, with the drift of a hand that holds the camera."""
    size = (video.width_px * REFERENCE_SCALE, video.height_px * REFERENCE_SCALE)
    for slot in video.shown_slots:
        time_s = slot / video.rate_hz
        number = cast.person.clip_frame(slot)
        drift_x, drift_y = _hand_drift_px(time_s)
        x, y = cast.person.nose_px
        placement = place(cast, (x + drift_x, y + drift_y))
        lit = cast.frames[number] * np.asarray(cast.person.gain_rgb)
        # The clip is square: its church window goes on, mirrored, to fill the wider picture.
        wide = np.pad(lit, ((0, 0), (0, 200), (0, 0)), mode="symmetric").clip(0, 255)
        box = _source_box(placement, (0, 0), size)
        source = Image.fromarray(wide.round().astype(np.uint8))
        picture = source.resize(size, Image.Resampling.LANCZOS, box=box)
        yield picture, [(cast, number, placement)]


def _cut_outs(cast: Cast) -> dict[int, Image.Image]:
    shown = range(cast.person.first_frame, cast.person.last_frame + 1)
    return {n: cut_out(cast.frames[n], cast.person, cast.faces[n].nose_px) for n in shown}


def _hand_drift_px(time_s: float) -> tuple[float, float]:
    """A slow sway and a faint tremor, in sample pixels."""
    x = 2.6 * math.sin(1.3 * time_s) + 0.5 * math.sin(7.1 * time_s + 1.0)
    y = 1.6 * math.sin(1.7 * time_s + 0.6) + 0.4 * math.sin(8.3 * time_s)
    return x, y


def _source_box(
    placement: Placement, corner_px: tuple[int, int], size_px: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The rectangle of clip pixels that a rectangle of reference pixels shows."""
    left = (corner_px[0] - placement.shift_px[0]) / placement.scale
    top = (corner_px[1] - placement.shift_px[1]) / placement.scale
    return (
        left,
        top,
        left + size_px[0] / placement.scale,
        top + size_px[1] / placement.scale,
    )


def _paste(picture: Image.Image, cut: Image.Image, placement: Placement) -> None:
    """Lays a cut-out over the picture with sub-pixel precision."""
    first = [s - (MARGIN_PX - 2) * placement.scale for s in placement.shift_px]
    side_px = (cut.width - 2 * MARGIN_PX) + 2 * (MARGIN_PX - 2)
    last = [f + side_px * placement.scale for f in first]
    left, top = math.ceil(first[0]), math.ceil(first[1])
    size = (math.floor(last[0]) - left, math.floor(last[1]) - top)
    box = tuple(v + MARGIN_PX for v in _source_box(placement, (left, top), size))
    patch = cut.resize(size, Image.Resampling.LANCZOS, box=(box[0], box[1], box[2], box[3]))
    picture.paste(patch, (left, top), patch)
