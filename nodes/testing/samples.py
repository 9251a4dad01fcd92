"""A short video with one face, as packets of each type that travels between nodes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

import av
import numpy as np

from nodes.geometry.alignment import compose, crop_from_frame, translation
from nodes.node import Timed
from nodes.types import (
    ColorTags,
    Face,
    FaceChange,
    FaceHistory,
    FacePatch,
    Frame,
    FrameChanges,
    FrameFaces,
    FramePatches,
    FrameRestored,
    FusedPatches,
    RestoredPatch,
    VideoInfo,
)

__all__ = ["sample_info", "sample_packets"]

SIZE_PX: Final = (128, 96)
FRAMES: Final = 12
_TICKS: Final = 40
"""A frame lasts so many ticks of 1/1000 s."""


def sample_info(pix_fmt: str) -> VideoInfo:
    """Return the video that `sample_packets` are of."""
    return VideoInfo(
        width_px=SIZE_PX[0],
        height_px=SIZE_PX[1],
        pix_fmt=pix_fmt,
        time_base=Fraction(1, 1000),
        average_rate=Fraction(1000, _TICKS),
        sample_aspect_ratio=Fraction(1),
        rotation_deg=0,
        color=ColorTags(matrix=1, range=1),
        codec_name="h264",
        bit_depth=10 if pix_fmt.endswith("10le") else 8,
    )


def sample_packets(pix_fmt: str, scale: int = 1) -> dict[type, list[Timed]]:
    """Return a short video with one face, as packets of each type that travels, by their type.

    The face moves to the right; in the fifth frame it is not found.

    Args:
        pix_fmt: of the frames.
        scale: output pixels per source pixel at which the face is restored; the frames are those of
            the source.
    """
    frames, faces, patches, fused, restored, changes = (list[Timed]() for _ in range(6))
    for index in range(FRAMES):
        frame = _frame(index, pix_fmt)
        found = () if index == 5 else (_face(40.0 + 2 * index, 40.0),)
        cut = tuple(_patch(frame, face, scale) for face in found)
        frames.append(frame)
        faces.append(FrameFaces(frame.pts, found))
        patches.append(FramePatches(frame.pts, cut))
        fused.append(FusedPatches(frame.pts, tuple(map(_with_history, cut))))
        restored.append(FrameRestored(frame.pts, tuple(map(_restored, cut))))
        made = tuple(FaceChange(1, _region(patch), 1.0, 99, 9, 4.5) for patch in cut)
        changes.append(FrameChanges(frame.pts, made))
    return {
        Frame: frames,
        FrameFaces: faces,
        FramePatches: patches,
        FusedPatches: fused,
        FrameRestored: restored,
        FrameChanges: changes,
    }


def _frame(index: int, pix_fmt: str) -> Frame:
    y, x = np.mgrid[0 : SIZE_PX[1], 0 : SIZE_PX[0]]
    wave = 120 + 50 * np.sin((x + 3 * index) / 9) + 40 * np.cos(y / 7)
    rgb = np.stack([wave, wave * 0.9, 255 - wave], axis=2).clip(0, 255).astype(np.uint8)
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
    picture.colorspace, picture.color_range = 1, 1
    picture.pts, picture.time_base = index * _TICKS, Fraction(1, 1000)
    return Frame(index, index * _TICKS, _TICKS, picture)


def _face(x_px: float, y_px: float) -> Face:
    points = np.array(
        [(x_px, y_px), (x_px + 16, y_px), (x_px + 8, y_px + 9), (x_px + 8, y_px + 17)]
    )
    box = (x_px - 12, y_px - 16, x_px + 28, y_px + 30)
    return Face(1, box, points.astype(np.float32), 0.95, confirmed=True)


def _patch(frame: Frame, face: Face, scale: int) -> FacePatch:
    left, top, right, bottom = 24, 16, 104, 80
    rgb = frame.rgb(ColorTags(matrix=1, range=1))[top:bottom, left:right].copy()
    crop = crop_from_frame(face.points_px, 128)
    return FacePatch(
        track_id=face.track_id,
        rgb=rgb,
        bit_depth=8 if rgb.dtype == np.uint8 else 10,
        region_xyxy_px=(left, top, right, bottom),
        crop_from_region=compose(crop, translation(left, top)),
        size_px=128,
        scale=scale,
        blur_px=1.0,
    )


def _with_history(patch: FacePatch) -> FacePatch:
    weight = np.full(patch.rgb.shape[:2], 200, np.uint8)
    history = FaceHistory(patch.rgb.copy(), weight)
    return replace(patch, region_from_before=np.eye(2, 3), history=history)


def _restored(patch: FacePatch) -> RestoredPatch:
    x0, y0, x1, y1 = _region(patch)
    residual = np.full((y1 - y0, x1 - x0, 3), 0.05, np.float16)
    residual[:8] = residual[-8:] = residual[:, :8] = residual[:, -8:] = 0
    return RestoredPatch(patch.track_id, residual, (x0, y0, x1, y1), scale=patch.scale)


def _region(patch: FacePatch) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (side * patch.scale for side in patch.region_xyxy_px)
    return x0, y0, x1, y1
