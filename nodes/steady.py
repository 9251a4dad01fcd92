"""`aminet.steady`: reduces the flicker of restored faces.

Each face is blended with the one in the previous frame, aligned by the transform that `aminet.fuse`
found. The sum of source and residual is blended, because a steady residual on a flickering source
would flicker. A pixel is not blended where the source moved otherwise, so that there are no trails.
Slow changes of light are kept. Only luma is filtered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.ndimage import gaussian_filter

from nodes.geometry.alignment import Matrix, compose, face_oval_on_grid, scaling
from nodes.geometry.registration import Plane, enlarged, warped
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.types import FacePatch, FrameRestored, FusedPatches, RestoredPatch, VideoInfo

__all__ = ["Steady", "SteadyConfig"]

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_LIGHT_SIGMA: Final = 0.4
"""Standard deviation, in eye distances, above which changes between frames are light and kept."""
_GATE_SIGMA_PX: Final = 1.5
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
    """A face as it was output."""

    pts: int
    patch: FacePatch
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
        top = np.float32((1 << patch.bit_depth) - 1)
        source = patch.rgb.astype(np.float32) @ _LUMA / top
        added = face.residual_rgb.astype(np.float32) @ _LUMA
        shown = np.asarray(enlarged(source, patch.scale) + added, np.float32)
        age = np.zeros_like(source)
        if before is not None and patch.region_from_before is not None:
            change, age = self._change(patch, patch.region_from_before, source, shown, before)
            residual = face.residual_rgb + change[..., None].astype(np.float16)
            strength = self._strength(face.strength, pts, before)
            shown += change
            face = replace(face, residual_rgb=residual, strength=strength)
        age = np.minimum(age + 1, self.config.memory_frames - 1)
        self._shown[patch.track_id] = _Shown(pts, patch, source, shown, age, face.strength)
        return face

    def _strength(self, wanted: float, pts: int, before: _Shown) -> float:
        elapsed_s = (pts - before.pts) * self._seconds_per_tick
        return wanted + (before.strength - wanted) * float(np.exp(-elapsed_s / _STRENGTH_TIME_S))

    def _change(
        self,
        patch: FacePatch,
        now_from_before: Matrix,
        source: Plane,
        shown: Plane,
        before: _Shown,
    ) -> tuple[Plane, Plane]:
        """Blend with the previous frame.

        Returns:
            The change of the luma of `shown`, exactly 0 outside the face; and the number of earlier
            frames in the mean of each source pixel.
        """
        oval = _oval(patch, source.shape, 1)
        moved = source - warped(before.source, now_from_before, source.shape)
        unseen = np.isnan(moved)
        moved[unseen] = 0
        light = _light(moved, oval, _LIGHT_SIGMA * patch.eye_distance_px)
        still = self._still(np.where(unseen, 1, moved - light), source)
        aged = warped(before.age, now_from_before, source.shape)
        age = still * np.nan_to_num(aged).clip(0, self.config.memory_frames - 1)
        on_grid = compose(compose(scaling(patch.scale), now_from_before), scaling(1 / patch.scale))
        earlier = warped(before.shown, on_grid, shown.shape)
        difference = np.nan_to_num(earlier - shown) + enlarged(light, patch.scale)
        share = np.clip(enlarged(age / (age + 1), patch.scale), 0, 1)
        change = _oval(patch, shown.shape, patch.scale) * share * difference
        return change.astype(np.float32), age

    def _still(self, moved: npt.NDArray[np.floating], source: Plane) -> Plane:
        """Return for each pixel the confidence that it did not move, 0 to 1."""
        along_y, along_x = np.gradient(gaussian_filter(source, 0.7))
        slope = gaussian_filter(along_x**2 + along_y**2, _GATE_SIGMA_PX)
        allowed = self.config.noise**2 + self.config.slack_px**2 * slope
        energy = gaussian_filter(moved**2, _GATE_SIGMA_PX)
        return np.exp(-energy / allowed).astype(np.float32)


def _oval(patch: FacePatch, shape: tuple[int, int], scale: int) -> Plane:
    """Return the face's mask on the grid of its region, `scale` pixels per source pixel."""
    square_from_region = compose(scaling(1 / patch.size_px), patch.crop_from_region)
    square_from_grid = compose(square_from_region, scaling(1 / scale))
    return face_oval_on_grid(square_from_grid, shape, patch.yaw_deg)


def _light(moved: Plane, oval: Plane, sigma_px: float) -> Plane:
    """Return the low frequencies of a change over the face."""
    both = (gaussian_filter(plane, sigma_px, truncate=2) for plane in (moved * oval, oval))
    weighted, weights = both
    return (weighted / np.maximum(weights, 1e-3)).astype(np.float32)
