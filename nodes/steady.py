"""`aminet.steady`: reduces the flicker of restored faces.

Each face is blended with the one in the previous frame, aligned by the transform that `aminet.fuse`
found. The sum of source and residual is blended, because a steady residual on a flickering source
would flicker. A pixel is not blended where the source moved otherwise, so that there are no trails.
Slow changes of light are kept. Only luma is filtered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nodes.geometry.alignment import (
    Matrix,
    apply,
    compose,
    face_oval_extent,
    invert,
    scaling,
    translation,
)
from nodes.geometry.registration import Plane, enlarged, oval_on_grid, sampled, warped
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.types import (
    FacePatch,
    FrameRestored,
    FusedPatches,
    RestoredPatch,
    RgbImage,
    VideoInfo,
)

__all__ = ["Steady", "SteadyConfig"]

_LIGHT_SIGMA: Final = 0.35
"""Standard deviation, in eye distances, above which changes between frames are light and kept."""
_LIGHT_GRID: Final = 2.0
"""Light is measured on a grid this many times finer than that standard deviation."""
_GATE_SIGMA_PX: Final = 1.5
_MARGIN_PX: Final = 6
"""Pixels around the face that take part, because the gate looks at the neighbourhood."""
_STRENGTH_TIME_S: Final = 0.3
"""Time constant over which the strength is smoothed, s: the detector's confidence is noisy."""
_STRENGTH_WARMUP: Final = 3
"""Time constants of warm-up for the strength, after which 5 % of the initial error is left."""
_UNKNOWN_RATE: Final = 25
"""Frame rate if the container does not give one, 1/s."""


class SteadyConfig(NodeConfig):
    """How strongly faces are blended over time."""

    memory_frames: int = Field(default=5, ge=1)
    """Most frames in the mean of a pixel, where nothing moves; 1 disables blending."""
    noise: float = Field(default=0.022, gt=0)
    """Change of the source between frames that counts as noise, of full scale."""
    slack_px: float = Field(default=0.15, ge=0)
    """Registration error that does not count as motion, source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A face as it was output. Planes cover the box around the face only."""

    pts: int
    corner: tuple[int, int]
    """Left and top of the box in the patch, px."""
    source: Plane
    """Luma of the patch."""
    shown: Plane
    """Luma of the source, enlarged, with the whole residual."""
    age: Plane
    """Number of earlier frames in the mean of each pixel of the patch."""
    strength: float


class Steady(MapNode[SteadyConfig]):
    """Blends each track's faces over time. The state of a track ends with a missed frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.steady",
        summary="keep restored faces from flickering, without trails",
        inputs=(Port("patches", FusedPatches), Port("restored", FrameRestored)),
        outputs=(Port("restored", FrameRestored),),
        state=State.BOUNDED,
    )
    Config: ClassVar[type[NodeConfig]] = SteadyConfig

    def __init__(self, config: SteadyConfig) -> None:
        super().__init__(config)
        self._shown: dict[int, _Shown] = {}
        self._seconds_per_tick = 1.0

    def warmup_s(self, source: VideoInfo) -> float:
        """Return the time over which faces and their strength depend on earlier frames."""
        memory_frames = self.config.memory_frames
        if memory_frames == 1:
            return 0.0
        rate = float(source.average_rate or _UNKNOWN_RATE)
        return max(memory_frames / rate, _STRENGTH_WARMUP * _STRENGTH_TIME_S)

    def setup(self, threads: int) -> None:
        """Limit OpenCV to one thread, since patches are too small to divide."""
        del threads
        cv2.setNumThreads(1)

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without tracks."""
        del segment
        info = inputs["restored"]
        self._shown = {}
        self._seconds_per_tick = float(info.time_base)
        return info

    def process(self, inputs: Inputs) -> Outputs:
        """Blend the faces of one frame with the previous ones."""
        patches = inputs.get("patches", FusedPatches).patches
        restored = inputs.get("restored", FrameRestored)
        before, self._shown = self._shown, {}
        steadied = [
            self._steadied(patch, face, inputs.pts, before.get(patch.track_id))
            for patch, face in zip(patches, restored.patches, strict=True)
        ]
        return {"restored": replace(restored, patches=tuple(steadied))}

    def close(self) -> None:
        """Free the faces."""
        self._shown = {}

    def _steadied(
        self, patch: FacePatch, face: RestoredPatch, pts: int, before: _Shown | None
    ) -> RestoredPatch:
        # Pixels that were not restored must not change.
        if self.config.memory_frames == 1 or not face.residual_rgb.any():
            return face
        scale = patch.scale
        x0, y0, x1, y1 = _box(patch)
        top = np.float32((1 << patch.bit_depth) - 1)
        source = _luma(patch.rgb[y0:y1, x0:x1]) / top
        on_grid = slice(y0 * scale, y1 * scale), slice(x0 * scale, x1 * scale)
        residual = face.residual_rgb[on_grid].astype(np.float32)
        added = _luma(residual)
        shown = enlarged(source, scale) + added
        age = np.zeros_like(source)
        if before is not None and patch.region_from_before is not None:
            moved = compose(translation(-x0, -y0), patch.region_from_before)
            change, age = self._change(patch, (x0, y0), moved, source, shown, before)
            # The mask is resampled, and must not reach beyond that of the residual.
            change *= added != 0
            shown += change
            steadied = face.residual_rgb.copy()
            steadied[on_grid] = residual + change[..., None]
            strength = self._strength(face.strength, pts, before)
            face = replace(face, residual_rgb=steadied, strength=strength)
        age = np.minimum(age + 1, self.config.memory_frames - 1)
        self._shown[patch.track_id] = _Shown(pts, (x0, y0), source, shown, age, face.strength)
        return face

    def _strength(self, wanted: float, pts: int, before: _Shown) -> float:
        elapsed_s = (pts - before.pts) * self._seconds_per_tick
        return wanted + (before.strength - wanted) * float(np.exp(-elapsed_s / _STRENGTH_TIME_S))

    def _change(
        self,
        patch: FacePatch,
        corner: tuple[int, int],
        now_from_before: Matrix,
        source: Plane,
        shown: Plane,
        before: _Shown,
    ) -> tuple[Plane, Plane]:
        """Blend with the previous frame.

        Args:
            patch: the face.
            corner: left and top of the box in it.
            now_from_before: from the previous patch to the box.
            source: luma of the box.
            shown: the same as it would be shown, enlarged.
            before: the face in the previous frame.

        Returns:
            The change of the luma of `shown`, 0 outside the face; and the number of earlier frames
            in the mean of each source pixel.
        """
        now_from_before = compose(now_from_before, translation(*before.corner))
        square_from_box = compose(
            compose(scaling(1 / patch.size_px), patch.crop_from_region), translation(*corner)
        )
        aged = sampled(before.age, now_from_before, source.shape)
        seen = np.isfinite(aged)
        earlier = warped(before.source, now_from_before, source.shape)
        moved = np.where(seen, source - earlier, np.float32(0))
        light, light_on_grid = _light(moved, square_from_box, patch)
        still = self._still(np.where(seen, moved - light, np.float32(1)), source)
        age = still * np.where(seen, aged, np.float32(0)).clip(0, self.config.memory_frames - 1)
        to_grid, from_grid = scaling(patch.scale), scaling(1 / patch.scale)
        on_grid = compose(compose(to_grid, now_from_before), from_grid)
        difference = warped(before.shown, on_grid, shown.shape) - shown + light_on_grid
        share = cv2.resize(age / (age + 1), shown.shape[::-1], interpolation=cv2.INTER_LINEAR)
        oval = oval_on_grid(compose(square_from_box, from_grid), shown.shape, patch.yaw_deg)
        return _plane(oval * share * difference), _plane(age)

    def _still(self, moved: Plane, source: Plane) -> Plane:
        """Return for each pixel the confidence that it did not move, 0 to 1."""
        smooth = cv2.GaussianBlur(source, (0, 0), 0.7)
        along_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
        along_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
        both = cv2.merge([along_x * along_x + along_y * along_y, moved * moved])
        slope, energy = cv2.split(cv2.GaussianBlur(both, (0, 0), _GATE_SIGMA_PX))
        allowed = self.config.noise**2 + self.config.slack_px**2 * slope
        return _plane(np.exp(-energy / allowed))


def _box(patch: FacePatch) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the face in its patch, with a margin, px."""
    region_from_square = invert(compose(scaling(1 / patch.size_px), patch.crop_from_region))
    left, top, right, bottom = face_oval_extent(patch.yaw_deg)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    points = apply(region_from_square, np.array(corners))
    size = patch.rgb.shape[1::-1]
    low = np.clip(np.floor(points.min(axis=0)) - _MARGIN_PX, 0, size).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + _MARGIN_PX, 0, size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _luma(rgb: RgbImage | npt.NDArray[np.float32]) -> Plane:
    gray = cv2.cvtColor(rgb.astype(np.float32, copy=False), cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, np.float32)


def _light(moved: Plane, square_from_box: Matrix, patch: FacePatch) -> tuple[Plane, Plane]:
    """Return the low frequencies of a change over the face, on its grid and on the output's."""
    sigma_px = _LIGHT_SIGMA * patch.eye_distance_px
    factor = max(1.0, sigma_px / _LIGHT_GRID)
    height, width = moved.shape
    size = max(1, round(width / factor)), max(1, round(height / factor))
    x, y = width / size[0], height / size[1]
    square_from_coarse = compose(square_from_box, np.array([[x, 0.0, 0.0], [0.0, y, 0.0]]))
    oval = oval_on_grid(square_from_coarse, (size[1], size[0]), patch.yaw_deg)
    coarse = cv2.resize(moved, size, interpolation=cv2.INTER_AREA)
    both = cv2.GaussianBlur(cv2.merge([coarse * oval, oval]), (0, 0), sigma_px / factor)
    light = both[..., 0] / np.maximum(both[..., 1], 1e-3)
    own = _plane(cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR))
    if patch.scale == 1:
        return own, own
    on_grid = width * patch.scale, height * patch.scale
    return own, _plane(cv2.resize(light, on_grid, interpolation=cv2.INTER_LINEAR))


def _plane(values: npt.NDArray[Any]) -> Plane:
    return np.asarray(values, np.float32)
