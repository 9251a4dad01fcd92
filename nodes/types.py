"""The packets that nodes exchange: frames, faces, patches.

Convention: image coordinates are continuous, in pixels, x to the right and y down; the pixel in
column 0 and row 0 covers [0, 1) x [0, 1) and its centre is (0.5, 0.5), so scaling an image by s
scales its coordinates by s. Boxes are `xyxy_px`, half open. A transform `a_from_b` is a 2x3 matrix
that maps (x, y, 1) in b to (x, y) in a. Colours are RGB in the frame's own transfer function.

Every packet has a `pts`, the presentation time in ticks of the video's `time_base`. Each stream
between two nodes has exactly one packet for every frame, in strictly increasing pts, so that
streams can be joined by taking one packet from each. A frame without faces has an empty packet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

from nodes.picture.rgb import picture_rgb, picture_with_rgb, tags_of
from nodes.values import Box, ColorTags, PictureForm, RgbImage

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
    "PictureForm",
    "Restart",
    "RestoredPatch",
    "RgbImage",
    "VideoInfo",
]

EYES_OF_SIZE = 38 / 128
"""Distance between the eyes, as a share of the side of the aligned square."""


@dataclass(frozen=True, slots=True)
class HdrFacts:
    """Mastering display and content light level."""

    display: tuple[Fraction, ...] | None
    """CIE 1931 x and y of red, green, blue and white, then least and greatest luminance, cd/m2."""
    light_cd_m2: tuple[int, int] | None
    """Maximum content light level and maximum frame-average light level, cd/m2."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A frame at which the source's timestamps start again; in ticks of the video's time base."""

    last_pts: int
    """The source's own pts of the last frame before it."""
    first_pts: int
    """The source's own pts of the first frame after it."""
    offset_ticks: int
    """Offset that is added to the source's pts from there on."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """One video stream, as described by its container and its first decoded frame."""

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
    """Clockwise rotation that a player applies to the frame: 0, 90, 180 or 270."""
    color: ColorTags
    codec_name: str
    """libav's name of the source's codec, such as `h264`."""
    bit_depth: int
    """Bits per component, 8 to 16."""
    profile: str | None = None
    reorder_frames: int | None = None
    """Most pictures that are stored before and shown after another one, None if unknown."""
    hdr: HdrFacts | None = None
    """Mastering display and light levels of an HDR10 video."""
    captions: bool = False
    """Whether its first pictures have closed captions."""
    still: bool = False
    """Whether it is a photograph: a single picture."""
    interlaced: bool = False
    top_field_first: bool = True
    """Whether the top field of an interlaced picture is shown first."""
    duration_s: float | None = None
    frame_count_hint: int | None = None
    """The container's frame count, which may be wrong; used for progress bars only."""
    patch_scale: int = 1
    """Output pixels per source pixel, 1 to 4, at which faces are restored. Set by the node that
    cuts out faces; the node that pastes them enlarges the frames by it."""
    span_pts: tuple[int, int | None] | None = None
    """First pts, and first pts after the end (None: to the end), of the part of the source to
    process; None for all of it."""

    @property
    def stretch(self) -> tuple[float, float]:
        """Horizontal and vertical factors that make the pixels square and preserve their area."""
        root = math.sqrt(self.sample_aspect_ratio)
        return root, 1 / root


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture in the decoder's own planes. It stays in the process that decoded it.

    A node that changes pixels makes a new `Frame` with a new picture, since other nodes hold this
    one.
    """

    index: int
    """Position in the stream, from 0."""
    pts: int
    duration_ticks: int
    """Duration of the picture, in ticks of the time base; 0 if unknown."""
    picture: av.VideoFrame
    coded: av.VideoFrame | None = None
    """The picture that the source's packets code for this time; None if there is none, or it was
    damaged. Where it is `picture` itself the frame is unchanged, and its packets can be copied."""

    def rgb(self, color: ColorTags | None = None) -> RgbImage:
        """Return the whole picture as RGB, by its own matrix, range and bit depth; a copy.

        Args:
            color: the video's tags, `VideoInfo.color`; None takes those that the picture has.

        Returns:
            Shape (height, width, 3); see `RgbImage`.

        Raises:
            UnsupportedFormatError: the pixel format or the matrix cannot be edited in place.
        """
        return picture_rgb(self.picture, color or tags_of(self.picture))

    def with_rgb(self, rgb: RgbImage, color: ColorTags | None = None) -> Frame:
        """Return the frame with other colours, in its own pixel format; this one stays as it is.

        What differs from `rgb()` is added to the picture's own samples: pixels that do not differ
        keep their codes bit for bit, and no others are rounded twice.

        Args:
            rgb: of the shape and type that `rgb()` returns.
            color: as for `rgb()`.

        Raises:
            ValueError: `rgb` has another shape or type.
            UnsupportedFormatError: see `rgb()`.
        """
        picture = picture_with_rgb(self.picture, rgb, color or tags_of(self.picture))
        return self if picture is self.picture else replace(self, picture=picture)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame, in pixels of that frame."""

    track_id: int
    """Number of the track, from 1; 0 until the track is confirmed."""
    box_xyxy_px: Box
    points_px: npt.NDArray[np.float32]
    """Shape (4, 2): the person's right eye, left eye, nose tip and mouth centre, smoothed."""
    score: float
    """The detector's confidence, 0 to 1."""
    confirmed: bool
    """Whether the evidence of the track's detections is enough to count as a face."""
    unlikely: bool = False
    """Whether an unconfirmed track has enough detections, but they are not enough like a face."""

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
    """Mean of a face over the frames up to this one (`aminet.history`)."""

    fused_rgb: RgbImage
    """Mean of the patch's `rgb` and of earlier ones that agree with it: shape (f * height, f *
    width, 3), dtype of `rgb`. Frames at several sub-pixel positions show more together than one, so
    f may be 2. Pixel (f * y, f * x) lies on pixel (y, x) of the patch."""
    weight: npt.NDArray[np.uint8]
    """Shape (height, width): 255 n / (n + 1) where n earlier frames agree."""

    @property
    def finer(self) -> int:
        """Pixels of `fused_rgb` per pixel of the patch, across and down."""
        return self.fused_rgb.shape[0] // self.weight.shape[0]

    @property
    def region_from_fused(self) -> npt.NDArray[np.float64]:
        """2x3, from coordinates in `fused_rgb` to those in the patch; pixel centres at +0.5."""
        share = 1 / self.finer
        shift = 0.5 - 0.5 * share
        return np.array([[share, 0, shift], [0, share, shift]])


@dataclass(frozen=True, slots=True, eq=False)
class FacePatch:
    """The pixels around one face at source resolution, and the transform that aligns them."""

    track_id: int
    rgb: RgbImage
    bit_depth: int
    region_xyxy_px: tuple[int, int, int, int]
    """Position of `rgb` in the source frame, aligned to the chroma grid."""
    crop_from_region: npt.NDArray[np.float64]
    """2x3, from coordinates in `rgb` to the aligned square of side `size_px`: a similarity,
    preceded by `VideoInfo.stretch` if pixels are not square."""
    size_px: int
    """Side of the network's input for this face, px, a multiple of 32."""
    scale: int
    """Output pixels per source pixel, 1 to 4: the resolution of the residual."""
    yaw_deg: float = 0.0
    """Estimated yaw: -90 to 90, 0 is frontal."""
    pitch_deg: float = 0.0
    """Estimated pitch: -90 to 90, 0 is level, positive looks down."""
    score: float = 1.0
    """The detector's confidence, 0 to 1."""
    strength: float = 1.0
    """Share of the restoration to apply, 0 to 1."""
    blur_px: float = 0.0
    """Blur relative to a sharp face of its size: standard deviation of a Gaussian, source px."""
    lossy: bool = False
    """Whether the source's codec is lossy."""
    region_from_before: npt.NDArray[np.float64] | None = None
    """2x3 similarity from the track's patch in the frame before to this one, in their pixels. None
    if the track is not in that frame, or was not registered (see `FusedPatches`)."""
    history: FaceHistory | None = None
    """The mean over earlier frames; None in a photograph and at the start of a track."""

    @property
    def nbytes(self) -> int:
        """Size of the pixels, in bytes."""
        history = self.history
        own = 0 if history is None else history.fused_rgb.nbytes + history.weight.nbytes
        return self.rgb.nbytes + own

    @property
    def eye_distance_px(self) -> float:
        """Distance between the eye centres in the source frame, px, by the alignment."""
        (a, b, _), (c, d, _) = self.crop_from_region.tolist()
        return self.size_px * EYES_OF_SIZE / math.sqrt(a * d - b * c)


GateReason = Literal[
    "unconfirmed",
    "unlikely",
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
    """A face that is not restored, and the reason."""

    track_id: int
    reason: GateReason


@dataclass(frozen=True, slots=True)
class FramePatches:
    """The faces of one frame to restore, and those that are not restored."""

    pts: int
    patches: tuple[FacePatch, ...]
    gated: tuple[GatedFace, ...] = ()


@dataclass(frozen=True, slots=True)
class FusedPatches(FramePatches):
    """Patches that were registered to those of the frame before (`region_from_before`)."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceOval:
    """Position of a face's mask."""

    square_from_region: npt.NDArray[np.float64]
    """2x3 similarity from coordinates in the region, in output pixels, to the aligned square of
    side 1."""
    yaw_deg: float = 0.0
    """Yaw of the face: -90 to 90."""


@dataclass(frozen=True, slots=True, eq=False)
class RestoredPatch:
    """The residual of one face, on the output frame's pixel grid."""

    track_id: int
    residual_rgb: npt.NDArray[np.float16]
    """Shape (h, w, 3), to add to RGB in [0, 1]; feathered, and exactly 0 outside the face mask."""
    region_xyxy_px: tuple[int, int, int, int]
    """Position in the output frame: the patch's region times `scale`."""
    scale: int = 1
    """Output pixels per source pixel, from the patch."""
    strength: float = 1.0
    """Share of the residual to add, 0 to 1."""
    consistency_db: float | None = None
    """PSNR over the mask, peak 1, between the source and the restored face reduced to the source's
    resolution; None if there is nothing to compare."""
    oval: FaceOval | None = None
    """The mask of the residual. If None, the whole residual is added, even where it overlaps that
    of another face."""
    generative: bool = False
    """Whether the network draws detail that is plausible, but not recorded; from its model card."""


@dataclass(frozen=True, slots=True)
class FrameRestored:
    """The restored faces of one frame, in the order of its patches."""

    pts: int
    patches: tuple[RestoredPatch, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class FaceChange:
    """The changes of a frame by one restored face; levels are code values of the frame."""

    track_id: int
    region_xyxy_px: tuple[int, int, int, int]
    """Where, in the output frame: nothing outside was changed for this face."""
    strength: float
    """Share of the residual that was added, 0 to 1."""
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
    drawn: tuple[tuple[int, int, int, int], ...] = ()
    """Regions of the output frame, half open, that something was drawn on, such as a tag."""


Packet = Frame | FrameFaces | FramePatches | FusedPatches | FrameRestored | FrameChanges
"""The packets of the nodes in this package. A third-party node may send any object with a `pts`."""
