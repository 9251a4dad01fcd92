"""What travels between nodes: frames, faces, patches.

Convention: image coordinates are continuous, in pixels, x to the right and y down; the pixel in
column 0 and row 0 covers [0, 1) x [0, 1) and its centre is (0.5, 0.5), so scaling an image by s
scales its coordinates by s. Boxes are `xyxy_px`, half open. A transform `a_from_b` is a 2x3 matrix
that takes (x, y, 1) in b to (x, y) in a. Colours are RGB in the frame's own transfer function.

Every packet carries `pts`, the presentation time in ticks of the video's `time_base`. It is the
synchronisation key: each stream between two nodes holds exactly one packet for every frame, in
strictly increasing pts, so a join never has to wait or guess ("no face in this frame" is a packet).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

__all__ = [
    "EYES_OF_SIZE",
    "Box",
    "ColorTags",
    "Face",
    "FaceChange",
    "FaceHistory",
    "FaceOval",
    "FacePatch",
    "Frame",
    "FrameChanges",
    "FrameFaces",
    "FramePatches",
    "FrameRestored",
    "FusedPatches",
    "GateReason",
    "GatedFace",
    "HdrFacts",
    "Packet",
    "Restart",
    "RestoredPatch",
    "RgbImage",
    "VideoInfo",
]

EYES_OF_SIZE = 38 / 128
"""Distance between the eyes over the side of the aligned square."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels: `xyxy_px`, half open."""

RgbImage = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""RGB, shape (height, width, 3); uint8 for 8-bit video, else uint16 in the range of `bit_depth`."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How a stream's code values mean colours: libav's numbers (ITU-T H.273), 2 is unspecified."""

    matrix: int = 2
    """AVCOL_SPC_*: 1 BT.709, 5 and 6 BT.601, 9 BT.2020."""
    range: int = 0
    """AVCOL_RANGE_*: 0 unspecified, 1 limited (16-235), 2 full."""
    primaries: int = 2
    """AVCOL_PRI_*."""
    transfer: int = 2
    """AVCOL_TRC_*."""
    chroma: int = 0
    """AVCHROMA_LOC_*, where subsampled chroma lies among the luma samples: 1 left, 2 centre, 3 top
    left, 4 top, 5 bottom left, 6 bottom; 0 unspecified."""


@dataclass(frozen=True, slots=True)
class HdrFacts:
    """Mastering display and content light level."""

    display: tuple[Fraction, ...] | None
    """x and y of red, green, blue and white in CIE 1931; least and greatest cd/m2."""
    light_cd_m2: tuple[int, int] | None
    """The brightest pixel's, and the brightest picture's on average."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A place where the source's clock starts again; all in ticks of the video's time base."""

    last_pts: int
    """The source's own time of the last frame before it."""
    first_pts: int
    """The source's own time of the first frame after it."""
    offset_ticks: int
    """What is added to the source's times from there on."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """One video stream, as its container and its first decoded frame describe it."""

    width_px: int
    """Coded width: before the display matrix and the sample aspect ratio apply."""
    height_px: int
    pix_fmt: str
    """libav's name of the pixel format of the frames, such as `yuv420p10le`."""
    time_base: Fraction
    """Seconds per pts tick."""
    average_rate: Fraction | None
    """Frames a second on average, None when the container does not know."""
    sample_aspect_ratio: Fraction
    """Width over height of one pixel; 1 when square or unspecified."""
    rotation_deg: int
    """Clockwise turn that a player applies before showing the frame: 0, 90, 180 or 270."""
    color: ColorTags
    codec_name: str
    """libav's name of the source's codec, such as `h264`."""
    bit_depth: int
    """Bits per component, 8 to 16."""
    hdr: HdrFacts | None = None
    """What an HDR10 video says of its mastering display and its light."""
    still: bool = False
    """Whether it is a photograph: one picture, that nothing before or after it confirms."""
    interlaced: bool = False
    top_field_first: bool = True
    """Which field of an interlaced picture is shown first."""
    duration_s: float | None = None
    frame_count_hint: int | None = None
    """What the container claims: for progress bars only, never trusted."""
    patch_scale: int = 1
    """Output pixels per source pixel, 1 to 4, that faces cut out of this video are restored at: who
    cuts them says it, and who puts them back enlarges the frames as much."""
    span_pts: tuple[int, int | None] | None = None
    """First pts and first pts after the part of the source that is wanted (None: to the end); None
    when all of it is."""

    @property
    def stretch(self) -> tuple[float, float]:
        """Factors across and down that make the pixels square, and their area what it was."""
        root = math.sqrt(self.sample_aspect_ratio)
        return root, 1 / root


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture in the decoder's own planes. Never leaves the process that decoded it.

    A node that changes pixels makes a new `Frame` around a new picture: others hold this one.
    """

    index: int
    """Position in the stream, from 0."""
    pts: int
    duration_ticks: int
    """How long the picture is shown, in ticks of the time base; 0 when unknown."""
    picture: av.VideoFrame


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame, in that frame's pixels."""

    track_id: int
    """The same number while the same face is followed, from 1; 0 until it is confirmed."""
    box_xyxy_px: Box
    points_px: npt.NDArray[np.float32]
    """Shape (4, 2): the person's right eye, left eye, nose tip, mouth centre; smoothed in time."""
    score: float
    """The detector's confidence, 0 to 1."""
    confirmed: bool
    """False while the track has too few detections to be believed."""

    @property
    def eye_distance_px(self) -> float:
        """Distance between the eye centres, in pixels."""
        return float(np.hypot(*(self.points_px[1] - self.points_px[0])))

    def stretched(self, x: float, y: float) -> Face:
        """Return the same face in pixels of another shape: coordinates times `x` and `y`."""
        left, top, right, bottom = self.box_xyxy_px
        return replace(
            self,
            box_xyxy_px=(left * x, top * y, right * x, bottom * y),
            points_px=self.points_px * np.array([x, y], np.float32),
        )


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """All faces of one frame."""

    pts: int
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FaceHistory:
    """A face as the frames up to this one show it, on the grid of its patch (`aminet.history`)."""

    fused_rgb: RgbImage
    """The mean of the patch's own `rgb` and of those before that agree; same shape and type."""
    weight: npt.NDArray[np.uint8]
    """Shape (height, width): 255 n / (n + 1) where n earlier frames agree."""


@dataclass(frozen=True, slots=True, eq=False)
class FacePatch:
    """The pixels around one face at source resolution, and how to align them. Small; travels."""

    track_id: int
    rgb: RgbImage
    bit_depth: int
    region_xyxy_px: tuple[int, int, int, int]
    """Where `rgb` lies in the source frame, aligned to the chroma grid."""
    crop_from_region: npt.NDArray[np.float64]
    """2x3, from coordinates inside `rgb` to the aligned square of side `size_px`: a similarity, but
    after `VideoInfo.stretch` where pixels are not square."""
    size_px: int
    """Side of AMINet's square for this face, a multiple of 32."""
    scale: int
    """Output pixels per source pixel, 1 to 4: the resolution the residual is wanted at."""
    yaw_deg: float = 0.0
    """How far the face is turned to a side, about: -90 to 90, 0 is frontal."""
    pitch_deg: float = 0.0
    """How far it looks down, about: -90 to 90, 0 is level."""
    score: float = 1.0
    """The detector's confidence, 0 to 1."""
    strength: float = 1.0
    """How much of the restoration the face is to get, 0 to 1."""
    blur_px: float = 0.0
    """How much softer it is than a sharp face of its size: the standard deviation of a Gaussian
    blur, in source pixels."""
    lossy: bool = False
    """Whether it comes from a codec that loses something."""
    region_from_before: npt.NDArray[np.float64] | None = None
    """2x3 similarity from the track's patch in the frame before to this one, by their pixels; None:
    the frame before does not have this track, or nobody looked (see `FusedPatches`)."""
    history: FaceHistory | None = None
    """What earlier frames say; None: nothing, as in a photograph or at the start of a track."""

    @property
    def nbytes(self) -> int:
        """How much it is to carry."""
        history = self.history
        own = 0 if history is None else history.fused_rgb.nbytes + history.weight.nbytes
        return self.rgb.nbytes + own

    @property
    def eye_distance_px(self) -> float:
        """Distance between the eye centres in the source frame, as aligned."""
        area = float(np.linalg.det(self.crop_from_region[:, :2]))
        return self.size_px * EYES_OF_SIZE / math.sqrt(area)


GateReason = Literal[
    "unconfirmed",
    "too_small",
    "too_large",
    "low_score",
    "turned",
    "blurred",
    "sharp",
    "outside",
    "not_selected",
]
"""Why a face was left alone."""


@dataclass(frozen=True, slots=True)
class GatedFace:
    """A face that is left as it was, and why."""

    track_id: int
    reason: GateReason


@dataclass(frozen=True, slots=True)
class FramePatches:
    """All faces of one frame to restore, and those that were gated out."""

    pts: int
    patches: tuple[FacePatch, ...]
    gated: tuple[GatedFace, ...] = ()


@dataclass(frozen=True, slots=True)
class FusedPatches(FramePatches):
    """Patches that were compared with those of the frames before (`region_from_before`)."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceOval:
    """Where the mask of a face lies."""

    square_from_region: npt.NDArray[np.float64]
    """2x3 similarity from coordinates inside the region, in output pixels, to the aligned square of
    side 1."""
    yaw_deg: float = 0.0
    """How far the face is turned to a side."""


@dataclass(frozen=True, slots=True, eq=False)
class RestoredPatch:
    """What AMINet adds to one face, on the output frame's own pixel grid."""

    track_id: int
    residual_rgb: npt.NDArray[np.float16]
    """Shape (h, w, 3), to be added to RGB in [0, 1]; feathered: exactly 0 outside the face mask."""
    region_xyxy_px: tuple[int, int, int, int]
    """Where it lies in the output frame: the patch's region times `scale`."""
    scale: int = 1
    """Output pixels per source pixel, as the patch had it."""
    strength: float = 1.0
    """Share of the residual that is to be added, 0 to 1: less where the face is unsure."""
    consistency_db: float | None = None
    """How well the face with its whole residual, degraded to the source's resolution again, matches
    the source: PSNR over the mask, peak 1; None: there is nothing to compare."""
    oval: FaceOval | None = None
    """The mask that the residual was made under; None: not known, so it is added whole even where
    another face's overlaps it."""


@dataclass(frozen=True, slots=True)
class FrameRestored:
    """The restored faces of one frame, in the order of its patches."""

    pts: int
    patches: tuple[RestoredPatch, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class FaceChange:
    """What putting a restored face into a frame changed; levels are the frame's code values."""

    track_id: int
    region_xyxy_px: tuple[int, int, int, int]
    """Where, in the output frame: nothing outside was changed for this face."""
    strength: float
    """How much of the residual was added, 0 to 1."""
    area_px: int
    """Luma samples that changed."""
    largest: int
    """The greatest change of a sample of any plane, in levels."""
    mean: float
    """Mean absolute change of the luma samples that changed, in levels."""
    consistency_db: float | None = None
    """As `RestoredPatch.consistency_db`."""


@dataclass(frozen=True, slots=True)
class FrameChanges:
    """All that was changed in one frame, compared with the source (enlarged, if it was)."""

    pts: int
    faces: tuple[FaceChange, ...] = ()


Packet = Frame | FrameFaces | FramePatches | FusedPatches | FrameRestored | FrameChanges
"""What the nodes here exchange. A third-party node may send any object with a `pts`."""
