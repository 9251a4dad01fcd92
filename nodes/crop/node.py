"""`aminet.crop`: cuts out the pixels around each face to restore.

The output is small: the face's region at source resolution, and the transform that aligns it.
Warping is done on the device that runs the network. Faces that are not restored are listed with the
reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.codec.codec import UnknownCodecError

from nodes.crop.blockiness import blockiness
from nodes.crop.config import CropConfig
from nodes.crop.gates import detail_shares, gated, reason_in_words, shares
from nodes.crop.softness import softness
from nodes.geometry.alignment import (
    WINDOW_FEATHER,
    Matrix,
    apply,
    bounding_box,
    compose,
    crop_from_frame,
    invert,
    pitch_deg,
    scaling,
    template_points,
    translation,
    yaw_deg,
)
from nodes.geometry.registration import Plane, oval_on_grid
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

__all__ = ["Crop"]

_LUMA: Final = np.array([[0.3, 0.59, 0.11]], np.float32)
_LOSSY_SHARE: Final = 0.85
"""Strength for sources with a lossy codec, some of whose artefacts AMINet takes for detail. On
training faces through H.264 and JPEG the mean gain is the same from here to 1, but the worst face
is better here; on composites in motion the gain is highest here."""
_MEASURED_TIME_S: Final = 0.2
"""Time constant over which a track's blur and block artefacts are smoothed, s: keyframes differ."""
_DETAIL_OF_BLUR: Final = 2.0
"""Size of the finest detail, in pixels, for each pixel of blur (standard deviation)."""
_MOST_FINER: Final = 4.5
"""AMINet adds detail up to this factor finer than that of the source."""
_ABOUT_RIGHT: Final = 1.1
_WARP_MARGIN_PX: Final = 2.0
"""Margin around the square for bicubic interpolation, source pixels."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Measurements of a track when it was last restored."""

    pts: int
    blur_px: float
    blocky: float
    size_px: int


class Crop(MapNode[CropConfig]):
    """Selects faces and cuts their regions out of the frame."""

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
        self._gated: Counter[GateReason] = Counter()

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Reset the state; return the video with the scale of the faces.

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
        """Cut out the faces of one frame."""
        if self._reader is None:
            raise RuntimeError("Crop.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        patches: list[FacePatch] = []
        left_alone: list[GatedFace] = []
        faces = inputs.get("faces", FrameFaces).faces
        time_s = frame.pts * self._seconds_per_tick
        square = [face.stretched(*self._stretch) for face in faces]
        for face, reason in zip(faces, gated(square, time_s, self._wanted), strict=True):
            made = reason or self._patch(self._reader, frame.picture, face, frame.pts)
            if isinstance(made, FacePatch):
                patches.append(made)
            else:
                left_alone.append(GatedFace(face.track_id, made))
        if self._start_pts is None or frame.pts >= self._start_pts:
            self._patches += len(patches)
            self._gated.update(face.reason for face in left_alone)
        return {"patches": FramePatches(frame.pts, tuple(patches), tuple(left_alone))}

    def close(self) -> None:
        """Free swscale's context."""
        self._reader = None

    def report(self) -> dict[str, Any]:
        """Return the number of patches, and of faces not restored, by reason."""
        gated_by = sorted(self._gated.items())
        return {
            "patches": self._patches,
            "gated": dict(gated_by),
            "left_alone": {reason_in_words(why, self.config): count for why, count in gated_by},
        }

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
        luma = np.asarray(cv2.transform(rgb.astype(np.float32), _LUMA), np.float32)
        x0, y0, *_ = region
        square_from_region = compose(aligned, translation(x0, y0))
        blur_px, blocky = self._measured(face, luma, square_from_region, (x0, y0), pts)
        box = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
        shown = detail_shares(face, luma, box, blur_px, blocky, config)
        let_through = (*shares(face, config), *shown)
        for share, reason in let_through:
            if share == 0:
                return reason
        size_px = self._size_px(face, blur_px)
        self._seen[face.track_id] = _Seen(pts, blur_px, blocky, size_px)
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
            strength=(_LOSSY_SHARE if self._lossy else 1)
            * math.prod(share for share, _ in let_through),
            blur_px=blur_px,
            lossy=self._lossy,
        )

    def _measured(
        self,
        face: Face,
        luma: Plane,
        square_from_region: Matrix,
        corner_px: tuple[int, int],
        pts: int,
    ) -> tuple[float, float]:
        """Return a face's blur, px, and its block artefacts, both smoothed over time."""
        yaw = yaw_deg(face.points_px)
        oval = oval_on_grid(square_from_region, luma.shape, yaw, WINDOW_FEATHER)
        if self._interlaced:
            # One field only, because the two differ where something moves.
            field, part = (_halved(plane[::2]) for plane in (luma, oval))
            blur_px = 2 * softness(field, part, face.eye_distance_px / 2).blur_px
        else:
            blur_px = softness(luma, oval, face.eye_distance_px).blur_px
        blocky = blockiness(luma, corner_px, rows=not self._interlaced)
        before = self._seen.get(face.track_id)
        if before is None:
            return blur_px, blocky
        kept = math.exp((before.pts - pts) * self._seconds_per_tick / _MEASURED_TIME_S)
        return (
            blur_px + kept * (before.blur_px - blur_px),
            blocky + kept * (before.blocky - blocky),
        )

    def _size_px(self, face: Face, blur_px: float) -> int:
        """Choose the side of the network's input; keep the previous one while it is about right."""
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
    """Return whether a codec is lossy; one that libav does not know counts as lossy."""
    try:
        return av.Codec(codec_name, "r").lossy
    except UnknownCodecError:
        return True


def _halved(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Average columns in pairs."""
    even = rows.shape[1] // 2 * 2
    return rows[:, :even].reshape(len(rows), -1, 2).mean(axis=2)


def _region(picture: av.VideoFrame, square_from_frame: Matrix) -> Region | None:
    """Return the part of the frame under the aligned square; None if the face is outside it."""
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
