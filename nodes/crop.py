"""`aminet.crop`: cuts out the pixels around each face that is worth restoring.

What travels on is small: the face's region at source resolution and the transform that aligns it.
Warping happens on the device that runs the network. Faces that are gated out are named with the
reason and left alone downstream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Literal

import av
import numpy as np
from pydantic import AfterValidator, Field

from nodes.geometry.alignment import (
    Matrix,
    bounding_box,
    compose,
    crop_from_frame,
    invert,
    pitch_deg,
    template_points,
    translation,
    yaw_deg,
)
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.picture.layout import Region, align_region, pixel_layout, resolve_color
from nodes.picture.regions import RegionReader
from nodes.sharpness import detail
from nodes.types import (
    EYES_OF_SIZE,
    Face,
    FacePatch,
    Frame,
    FrameFaces,
    FramePatches,
    GatedFace,
    GateReason,
    RgbImage,
    VideoInfo,
)

__all__ = ["Crop", "CropConfig"]

Box = tuple[float, float, float, float]

_LUMA: Final = np.array([0.3, 0.59, 0.11], np.float32)
_JUDGED_SHRINK: Final = 0.5
"""A face less than twice the least size differs too little from a face of that size."""
_WARP_MARGIN_PX: Final = 2.0
"""Source pixels around the square that bicubic interpolation reaches for."""


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
    max_eye_distance_px: float = Field(default=64.0, gt=0)
    """Larger faces show all that AMINet could add."""
    min_score: float = Field(default=0.5, ge=0, le=1)
    """Least confidence of the detector in this frame."""
    max_yaw_deg: float = Field(default=55.0, ge=0, le=90)
    """Faces turned farther to a side are unlike those the network was trained on."""
    max_pitch_deg: float = Field(default=40.0, ge=0, le=90)
    """Faces that look farther up or down are unlike those the network was trained on."""
    min_detail: float = Field(default=0.05, ge=0, le=1)
    """Least share of its contrast that a face must owe to detail finer than a face of
    `min_eye_distance_px` has: one blurred more holds as little. 0 takes every face; faces below
    twice that eye distance are not judged."""
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
    sizes_px: Annotated[tuple[int, ...], AfterValidator(_ascending)] = (128, 192, 256)
    """Sides of AMINet's square to choose from: the smallest that holds the face's detail at the
    output's scale, else the largest."""

    def uncut_reason(self) -> str | None:
        """See `NodeConfig`."""
        if self.track_ids is None:
            return None
        return "faces are chosen by their numbers, which hold for the whole video"


class Crop(MapNode[CropConfig]):
    """Gates faces and cuts their regions out of the frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.crop",
        summary="cut out the region around each face worth restoring",
        inputs=(Port("frames", Frame), Port("faces", FrameFaces)),
        outputs=(Port("patches", FramePatches),),
    )
    Config: ClassVar[type[NodeConfig]] = CropConfig

    def __init__(self, config: CropConfig) -> None:
        super().__init__(config)
        self._reader: RegionReader | None = None
        self._seconds_per_tick = 1.0
        self._start_pts: int | None = None
        self._patches = 0
        self._gated: Counter[str] = Counter()

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start counting afresh, and say what scale the faces are restored at.

        Raises:
            UnsupportedFormatError: the video's pixel format or matrix cannot be read in place.
        """
        info = inputs["frames"]
        self._start_pts = segment.start_pts
        resolve_color(info.color, pixel_layout(info.pix_fmt), info.height_px)
        self._reader = RegionReader(info.color)
        self._seconds_per_tick = float(info.time_base)
        self._patches = 0
        self._gated = Counter()
        return replace(info, patch_scale=self.config.scale)

    def process(self, inputs: Inputs) -> Outputs:
        """Cut one frame's faces."""
        if self._reader is None:
            raise RuntimeError("Crop.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        patches: list[FacePatch] = []
        gated: list[GatedFace] = []
        faces = inputs.get("faces", FrameFaces).faces
        time_s = frame.pts * self._seconds_per_tick
        for face, reason in zip(faces, _gated(faces, time_s, self.config), strict=True):
            made = reason or self._patch(self._reader, frame.picture, face)
            if isinstance(made, FacePatch):
                patches.append(made)
            else:
                gated.append(GatedFace(face.track_id, made))
        if self._start_pts is None or frame.pts >= self._start_pts:
            self._patches += len(patches)
            self._gated.update(face.reason for face in gated)
        return {"patches": FramePatches(frame.pts, tuple(patches), tuple(gated))}

    def close(self) -> None:
        """Let go of swscale's context."""
        self._reader = None

    def report(self) -> dict[str, Any]:
        """Count patches, and faces gated out by reason."""
        return {"patches": self._patches, "gated": dict(sorted(self._gated.items()))}

    def _patch(
        self, reader: RegionReader, picture: av.VideoFrame, face: Face
    ) -> FacePatch | GateReason:
        wanted_px = face.eye_distance_px * self.config.scale / EYES_OF_SIZE
        sizes_px = self.config.sizes_px
        size_px = next((size for size in sizes_px if size >= wanted_px), sizes_px[-1])
        aligned = crop_from_frame(face.points_px, size_px)
        region = _region(picture, aligned, size_px)
        if region is None:
            return "outside"
        rgb = reader.rgb(picture, region)
        if self._is_blurred(face, rgb, region):
            return "blurred"
        return FacePatch(
            track_id=face.track_id,
            rgb=rgb,
            bit_depth=pixel_layout(picture.format.name).bit_depth,
            region_xyxy_px=region,
            crop_from_region=compose(aligned, translation(region[0], region[1])),
            size_px=size_px,
            scale=self.config.scale,
            yaw_deg=yaw_deg(face.points_px),
            pitch_deg=pitch_deg(face.points_px),
            score=face.score,
        )

    def _is_blurred(self, face: Face, rgb: RgbImage, region: Region) -> bool:
        """Tell whether a face shows no more than one too small to restore would."""
        shrink = self.config.min_eye_distance_px / face.eye_distance_px
        if shrink > _JUDGED_SHRINK or self.config.min_detail == 0:
            return False
        x0, y0, x1, y1 = face.box_xyxy_px
        box = (x0 - region[0], y0 - region[1], x1 - region[0], y1 - region[1])
        return detail(rgb @ _LUMA, shrink, box) < self.config.min_detail


def _gated(faces: Sequence[Face], time_s: float, config: CropConfig) -> list[GateReason | None]:
    """Return for each face of one frame why it is left alone; None: it is worth restoring."""
    reasons: list[GateReason | None] = [_gate(face, time_s, config) for face in faces]
    if config.faces != "all":
        worth = [index for index, reason in enumerate(reasons) if reason is None]
        worth.sort(key=lambda index: -faces[index].eye_distance_px)
        for index in worth[1 if config.faces == "largest" else config.faces :]:
            reasons[index] = "not_selected"
    return reasons


def _gate(face: Face, time_s: float, config: CropConfig) -> GateReason | None:
    checks: tuple[tuple[bool, GateReason], ...] = (
        (not face.confirmed, "unconfirmed"),
        (not _is_asked_for(face, time_s, config), "not_selected"),
        (face.score < config.min_score, "low_score"),
        (face.eye_distance_px < config.min_eye_distance_px, "too_small"),
        (face.eye_distance_px > config.max_eye_distance_px, "too_large"),
        (abs(yaw_deg(face.points_px)) > config.max_yaw_deg, "turned"),
        (abs(pitch_deg(face.points_px)) > config.max_pitch_deg, "turned"),
    )
    return next((reason for failed, reason in checks if failed), None)


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


def _region(picture: av.VideoFrame, aligned: Matrix, size_px: int) -> Region | None:
    """Return what the aligned square covers of the frame; None if the face's middle is outside."""
    frame_from_crop = invert(aligned)
    middle = template_points(size_px).mean(axis=0)
    x, y = frame_from_crop[:, :2] @ middle + frame_from_crop[:, 2]
    if not (0 <= x < picture.width and 0 <= y < picture.height):
        return None
    x0, y0, x1, y1 = bounding_box(frame_from_crop, size_px)
    grown = np.array([x0, y0, x1, y1]) + _WARP_MARGIN_PX * np.array([-1, -1, 1, 1])
    layout = pixel_layout(picture.format.name)
    return align_region(
        (grown[0], grown[1], grown[2], grown[3]), layout, picture.width, picture.height
    )
