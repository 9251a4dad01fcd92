"""`aminet.crop`: cuts out the pixels around each face that is worth restoring.

What travels on is small: the face's region at source resolution and the transform that aligns it.
Warping happens on the device that runs the network. Faces that are gated out are named with the
reason and left alone downstream.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Final, Literal

import av
import numpy as np
import numpy.typing as npt
from av.codec.codec import UnknownCodecError
from pydantic import AfterValidator, Field

from nodes.crop.detail import detail
from nodes.crop.softness import softness
from nodes.geometry.alignment import (
    Matrix,
    apply,
    bounding_box,
    compose,
    crop_from_frame,
    face_oval_on_grid,
    invert,
    pitch_deg,
    scaling,
    template_points,
    translation,
    yaw_deg,
)
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.picture.layout import Region, align_region, pixel_layout, resolve_color
from nodes.picture.regions import RegionReader
from nodes.types import (
    EYES_OF_SIZE,
    Face,
    FacePatch,
    Frame,
    FrameFaces,
    FramePatches,
    GatedFace,
    GateReason,
    VideoInfo,
)

__all__ = ["Crop", "CropConfig"]

Box = tuple[float, float, float, float]
Share = tuple[float, GateReason]
"""How much of a face's restoration a gate lets through, 0 to 1; and why, if that is nothing."""

_LUMA: Final = np.array([0.3, 0.59, 0.11], np.float32)
_LEAST_SHRINK: Final = 0.5
"""A face differs too little from one that is larger than half of it."""
_FADE_SCORE, _FADE_SIZE, _FADE_DEG, _FADE_DETAIL, _FADE_BLUR = 0.15, 1.2, 10.0, 1.6, 3.0
"""How far past a gate a face gets the whole of its restoration: in confidence, in degrees, and as
factors of size, detail and blur. Nothing jumps where a face passes a gate."""
_LOSSY_SHARE: Final = 0.85
"""Of the restoration of what a codec lost something of: AMINet takes some of its traces for detail.
On training people through H.264 and JPEG the mean gain is the same from here to 1, the worst face's
is not; on composites in motion it is highest here."""
_ENLARGED_PX: Final = 0.15
"""Blur that enlarging a picture adds, in its own pixels."""
_BLUR_TIME_S: Final = 0.2
"""Time constant of a track's blur."""
_DETAIL_OF_BLUR: Final = 2.0
"""Pixels that a blur of one pixel makes of each."""
_MOST_FINER: Final = 4.5
"""AMINet makes detail out of what is up to so many times coarser."""
_ABOUT_RIGHT: Final = 1.1
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was measured of a track when it was last restored."""

    pts: int
    blur_px: float
    size_px: int


class Crop(MapNode[CropConfig]):
    """Gates faces and cuts their regions out of the frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.crop",
        summary="cut out the region around each face worth restoring",
        inputs=(Port("frames", Frame), Port("faces", FrameFaces)),
        outputs=(Port("patches", FramePatches),),
        state=State.BOUNDED,
        warmup_s=0.4,
    )
    Config: ClassVar[type[NodeConfig]] = CropConfig

    def __init__(self, config: CropConfig) -> None:
        super().__init__(config)
        self._reader: RegionReader | None = None
        self._seconds_per_tick = 1.0
        self._start_pts: int | None = None
        self._lossy = self._interlaced = False
        self._stretch = (1.0, 1.0)
        self._wanted = config
        self._seen: dict[int, _Seen] = {}
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
        self._lossy = _loses(info.codec_name)
        self._interlaced = info.interlaced
        self._stretch = info.stretch
        self._wanted = self.config
        if (part := self.config.region_xyxy_px) is not None:
            x, y = info.stretch
            part = (part[0] * x, part[1] * y, part[2] * x, part[3] * y)
            self._wanted = self.config.model_copy(update={"region_xyxy_px": part})
        self._seen = {}
        self._patches = 0
        self._gated = Counter()
        return self.announce(inputs)

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with the scale that its faces are restored at."""
        return replace(inputs["frames"], patch_scale=self.config.scale)

    def process(self, inputs: Inputs) -> Outputs:
        """Cut one frame's faces."""
        if self._reader is None:
            raise RuntimeError("Crop.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        patches: list[FacePatch] = []
        gated: list[GatedFace] = []
        faces = inputs.get("faces", FrameFaces).faces
        time_s = frame.pts * self._seconds_per_tick
        square = [face.stretched(*self._stretch) for face in faces]
        for face, reason in zip(faces, _gated(square, time_s, self._wanted), strict=True):
            made = reason or self._patch(self._reader, frame.picture, face, frame.pts)
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
        self, reader: RegionReader, picture: av.VideoFrame, face: Face, pts: int
    ) -> FacePatch | GateReason:
        config = self.config
        stretch = np.diag([*self._stretch, 0.0])[:2]
        box, face = face.box_xyxy_px, face.stretched(*self._stretch)
        aligned = compose(crop_from_frame(face.points_px, 1), stretch)
        region = _region(picture, aligned)
        if region is None:
            return "outside"
        rgb = reader.rgb(picture, region)
        luma = rgb @ _LUMA
        blur_px = self._blur_px(face, luma, compose(aligned, translation(*region[:2])), pts)
        x0, y0, *_ = region
        box = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
        shares = (*_shares(face, config), *_detail_shares(face, luma, box, blur_px, config))
        for share, reason in shares:
            if share == 0:
                return reason
        size_px = self._size_px(face, blur_px)
        self._seen[face.track_id] = _Seen(pts, blur_px, size_px)
        square = compose(scaling(size_px), aligned)
        return FacePatch(
            track_id=face.track_id,
            rgb=rgb,
            bit_depth=pixel_layout(picture.format.name).bit_depth,
            region_xyxy_px=region,
            crop_from_region=compose(square, translation(region[0], region[1])),
            size_px=size_px,
            scale=config.scale,
            yaw_deg=yaw_deg(face.points_px),
            pitch_deg=pitch_deg(face.points_px),
            score=face.score,
            strength=(_LOSSY_SHARE if self._lossy else 1) * math.prod(share for share, _ in shares),
            blur_px=blur_px,
            lossy=self._lossy,
        )

    def _blur_px(
        self, face: Face, luma: npt.NDArray[np.floating], square_from_region: Matrix, pts: int
    ) -> float:
        """Measure a face's blur; follow it slowly, as it is noisy and key frames are sharper."""
        oval = face_oval_on_grid(square_from_region, luma.shape, yaw_deg(face.points_px))
        if self._interlaced:
            # Where something moves, one field is not like the other.
            field, part = (_halved(plane[::2]) for plane in (luma, oval))
            blur_px = 2 * softness(field, part, face.eye_distance_px / 2).blur_px
        else:
            blur_px = softness(luma, oval, face.eye_distance_px).blur_px
        before = self._seen.get(face.track_id)
        if before is None:
            return blur_px
        elapsed_s = (pts - before.pts) * self._seconds_per_tick
        return blur_px + (before.blur_px - blur_px) * math.exp(-elapsed_s / _BLUR_TIME_S)

    def _size_px(self, face: Face, blur_px: float) -> int:
        """Choose the side of AMINet's square; stay with the one before while it is about right."""
        side_px = face.eye_distance_px / EYES_OF_SIZE
        shown_px = side_px / math.hypot(1, _DETAIL_OF_BLUR * blur_px)
        wanted_px = min(side_px * self.config.scale, _MOST_FINER * shown_px)

        def size(wanted_px: float) -> int:
            sizes_px = self.config.sizes_px
            return next((size for size in sizes_px if size >= wanted_px), sizes_px[-1])

        before = self._seen.get(face.track_id)
        sizes = size(wanted_px / _ABOUT_RIGHT), size(wanted_px * _ABOUT_RIGHT)
        if before is not None and sizes[0] <= before.size_px <= sizes[1]:
            return before.size_px
        return size(wanted_px)


def _loses(codec_name: str) -> bool:
    """Tell whether a codec loses something; one that libav does not know is held to."""
    try:
        return av.Codec(codec_name, "r").lossy
    except UnknownCodecError:
        return True


def _halved(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Average columns in pairs."""
    even = rows.shape[1] // 2 * 2
    return rows[:, :even].reshape(len(rows), -1, 2).mean(axis=2)


def _rising(value: float, none: float, full: float) -> float:
    """Return 0 up to `none`, 1 from `full` on, and a straight line in between."""
    return float(np.clip((value - none) / (full - none), 0, 1))


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
    if not face.confirmed:
        return "unconfirmed"
    if not _is_asked_for(face, time_s, config):
        return "not_selected"
    return next((reason for share, reason in _shares(face, config) if share == 0), None)


def _shares(face: Face, config: CropConfig) -> tuple[Share, ...]:
    """Return how much of its restoration each gate lets a face have."""
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


def _detail_shares(
    face: Face,
    luma: npt.NDArray[np.floating],
    box: Box,
    blur_px: float,
    config: CropConfig,
) -> tuple[Share, ...]:
    """Return how much of its restoration a face may have for what it shows, and what it lacks."""
    shares: list[Share] = []
    if config.min_detail:
        shrink = min(_LEAST_SHRINK, config.min_eye_distance_px / face.eye_distance_px)
        shown = detail(luma, shrink, box)
        full = min(1.0, config.min_detail * _FADE_DETAIL) + 1e-6
        shares.append((_rising(shown, config.min_detail, full), "blurred"))
    if config.min_blur_px:
        least_px, scale = config.min_blur_px, config.scale
        shown_px = math.sqrt((scale * blur_px) ** 2 + (scale**2 - 1) * _ENLARGED_PX**2)
        shares.append((_rising(shown_px, least_px, least_px * _FADE_BLUR), "sharp"))
    return tuple(shares)


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


def _region(picture: av.VideoFrame, square_from_frame: Matrix) -> Region | None:
    """Return what the aligned square covers of the frame; None if the face's middle is outside."""
    frame_from_square = invert(square_from_frame)
    ((x, y),) = apply(frame_from_square, template_points(1).mean(axis=0)[None])
    if not (0 <= x < picture.width and 0 <= y < picture.height):
        return None
    x0, y0, x1, y1 = bounding_box(frame_from_square, 1)
    grown = np.array([x0, y0, x1, y1]) + _WARP_MARGIN_PX * np.array([-1, -1, 1, 1])
    layout = pixel_layout(picture.format.name)
    return align_region(
        (grown[0], grown[1], grown[2], grown[3]), layout, picture.width, picture.height
    )
