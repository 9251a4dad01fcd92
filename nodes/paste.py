"""`aminet.paste`: adds what AMINet restored to the frames, and enlarges them.

The frame stays in its own pixel format: enlarged by swscale if asked, then only the samples under
the faces' masks change. A frame without faces at scale 1 goes through as the same object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter
from pydantic import Field

from nodes.errors import NodeConfigError
from nodes.geometry.alignment import compose, face_oval_on_grid, translation
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.picture.captions import Captions
from nodes.picture.changes import Change, RegionBefore
from nodes.picture.interlaced import of_height, whole_fields
from nodes.picture.layout import chroma_siting, pixel_layout, resolve_color
from nodes.picture.regions import copy_picture
from nodes.picture.residual import add_rgb_residual
from nodes.picture.view import PictureView
from nodes.types import (
    ColorTags,
    FaceChange,
    Frame,
    FrameChanges,
    FrameRestored,
    RestoredPatch,
    VideoInfo,
)

__all__ = ["UPSCALE", "Paste", "PasteConfig"]

UPSCALE: Final = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
"""Scaler for frames."""


class PasteConfig(NodeConfig):
    """How the residuals are added."""

    scale: int | None = Field(default=None, ge=1, le=4)
    """Must be the scale of the faces (`crop.scale`) if given; None uses that."""
    strength: float = Field(default=1.0, ge=0, le=1)
    """Share of the restoration to apply: 0 does not change the faces, 1 restores them fully."""


class Paste(MapNode[PasteConfig]):
    """Adds residuals to frames, and enlarges them."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.paste",
        summary="enlarge the frame and add the restored faces to it",
        inputs=(Port("frames", Frame), Port("restored", FrameRestored)),
        outputs=(Port("frames", Frame), Port("changes", FrameChanges)),
    )
    Config: ClassVar[type[NodeConfig]] = PasteConfig

    def __init__(self, config: PasteConfig) -> None:
        super().__init__(config)
        self._scaler: VideoReformatter | None = None
        self._view, self._captions = PictureView(), Captions()
        self._scale = self._threads = 1
        self._color = ColorTags()
        self._interlaced = False
        self._frames = 0
        self._faces = self._generative = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with its new size; if enlarged, with its colour matrix set.

        Raises:
            NodeConfigError: the faces were cut out for another scale than is configured.
            UnsupportedFormatError: the video's pixel format or matrix cannot be edited in place.
        """
        info, scale = inputs["frames"], inputs["restored"].patch_scale
        large = self.announce(inputs)
        if self.config.scale not in (None, scale):
            raise NodeConfigError(
                f"paste.scale is {self.config.scale}, but the faces are cut out for scale {scale}"
                " (crop.scale): set --scale, and remove paste.scale"
            )
        self._scaler = VideoReformatter()
        self._threads = max(1, segment.threads)
        self._color = replace(info.color, matrix=_matrix(info))
        order = ("tff" if info.top_field_first else "bff") if info.interlaced else None
        self._interlaced = info.interlaced
        self._view = PictureView(order, chroma_siting(self._color)[0])
        self._frames = self._faces = self._generative = 0
        self._scale, self._captions = scale, Captions()
        return large

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with its new size.

        Raises:
            UnsupportedFormatError: the video's matrix cannot be edited in place.
        """
        info, scale = inputs["frames"], inputs["restored"].patch_scale
        if scale == 1:
            return info
        # Untagged video means another matrix from 720 lines on, so enlarging has to name it.
        return replace(
            info,
            width_px=info.width_px * scale,
            height_px=info.height_px * scale,
            color=replace(info.color, matrix=_matrix(info)),
        )

    def process(self, inputs: Inputs) -> Outputs:
        """Make an output frame.

        Raises:
            NodeConfigError: the scale of a face is not that of its video.
        """
        if self._scaler is None:
            raise RuntimeError("Paste.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        patches = inputs.get("restored", FrameRestored).patches if self.config.strength else ()
        self._frames += 1
        self._faces += len(patches)
        self._generative += sum(patch.generative for patch in patches)
        if self._scale > 1:
            picture = self._enlarged(self._scaler, frame.picture)
        elif patches:
            picture = copy_picture(frame.picture)
        else:
            return {"frames": frame, "changes": FrameChanges(frame.pts)}
        changes: list[FaceChange] = []
        for patch in patches:
            if patch.scale != self._scale:
                raise NodeConfigError(
                    f"a face was restored at scale {patch.scale}, but its video says"
                    f" {self._scale}: a node between crop and paste must hand on the VideoInfo"
                    " that it is given"
                )
            strength = self.config.strength * patch.strength
            residual = patch.residual_rgb.astype(np.float32) * np.float32(strength)
            others = [other for other in patches if other is not patch and _touch(patch, other)]
            if others:
                residual *= _share(patch, others)[..., None]
            before = RegionBefore(picture, patch.region_xyxy_px)
            add_rgb_residual(picture, patch.region_xyxy_px, residual, self._color)
            changes.append(_change_of(patch, strength, before.change()))
        picture = self._captions.carried(frame.picture, picture)
        return {
            "frames": replace(frame, picture=picture),
            "changes": FrameChanges(frame.pts, tuple(changes)),
        }

    def close(self) -> None:
        """Free swscale's context."""
        self._scaler = None

    def report(self) -> dict[str, Any]:
        """Count frames and pasted faces."""
        counts = {"frames": self._frames, "faces": self._faces}
        return counts | {"generative_faces": self._generative}

    def _enlarged(self, scaler: VideoReformatter, picture: av.VideoFrame) -> av.VideoFrame:
        # For a picture that is marked as interlaced swscale scales each field separately.
        whole = whole_fields(picture) if self._interlaced else picture
        enlarged = scaler.reformat(
            self._view.of(whole),
            whole.width * self._scale,
            whole.height * self._scale,
            interpolation=UPSCALE,
            threads=self._threads,
        )
        if self._interlaced:
            enlarged = of_height(enlarged, picture.height * self._scale)
        enlarged.colorspace = self._color.matrix
        return enlarged


def _change_of(patch: RestoredPatch, strength: float, change: Change) -> FaceChange:
    return FaceChange(
        track_id=patch.track_id,
        region_xyxy_px=patch.region_xyxy_px,
        strength=round(strength, 4),
        area_px=change.area_px,
        largest=change.largest,
        mean=change.mean,
        consistency_db=patch.consistency_db,
    )


def _matrix(info: VideoInfo) -> int:
    """Return the colour matrix; raise `UnsupportedFormatError` if nothing can be done in it."""
    return resolve_color(info.color, pixel_layout(info.pix_fmt), info.height_px)[0]


def _touch(patch: RestoredPatch, other: RestoredPatch) -> bool:
    """Return whether the regions of two faces overlap."""
    ax0, ay0, ax1, ay1 = patch.region_xyxy_px
    bx0, by0, bx1, by1 = other.region_xyxy_px
    return ax0 < bx1 and bx0 < ax1 and ay0 < by1 and by0 < ay1


def _share(patch: RestoredPatch, others: Sequence[RestoredPatch]) -> npt.NDArray[np.float32]:
    """Return the share of a face's residual to add, given other faces.

    Where the masks of neighbouring faces sum to more than 1, each gets its part of the sum.

    Returns:
        Shape of the region, 0 to 1.
    """
    total = sum((_mask(face, patch) for face in (patch, *others)), np.float32(0))
    return np.asarray(1 / np.maximum(1, total), np.float32)


def _mask(face: RestoredPatch, patch: RestoredPatch) -> npt.NDArray[np.float32]:
    """Return the mask of a face in the region of a patch."""
    shape = (patch.residual_rgb.shape[0], patch.residual_rgb.shape[1])
    if face.oval is None:
        return np.zeros(shape, np.float32)
    x_px, y_px = np.subtract(patch.region_xyxy_px[:2], face.region_xyxy_px[:2])
    square_from_patch = compose(face.oval.square_from_region, translation(x_px, y_px))
    return face_oval_on_grid(square_from_patch, shape, face.oval.yaw_deg)
