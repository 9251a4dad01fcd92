"""`aminet.steady`: keeps restored faces from flickering.

Each face is blended with itself in the frame before, laid over it by the transform that
`aminet.fuse` found. What is blended is the picture, source and residual together: the noise of
both averages out, and a residual alone would be steady on a source that is not. The blend stops,
pixel by pixel, where the source moved in a way that this did not explain, so nothing trails. Slow
changes of light are the source's in every frame. Only luma is filtered: it is what flickers.
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
"""In eye distances: coarser changes between frames are light, and stay."""
_GATE_SIGMA_PX: Final = 1.5
_STRENGTH_TIME_S: Final = 0.3
"""Time constant of the strength: the detector's confidence is noisy."""
_STRENGTH_WARMUP: Final = 3
"""Time constants after which 5 % is left of what came before."""
_UNKNOWN_RATE: Final = 25
"""Frames a second where the container does not say."""


class SteadyConfig(NodeConfig):
    """How much of the frames before goes into a face."""

    memory_frames: int = Field(default=6, ge=1)
    """Most frames that a pixel is the mean of, where nothing moves; 1 leaves the faces as they
    come."""
    noise: float = Field(default=0.015, gt=0)
    """Change of the source between frames that counts as noise, of full scale."""
    slack_px: float = Field(default=0.15, ge=0)
    """Misplacement that is not taken for motion, in source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A face as it was shown."""

    pts: int
    patch: FacePatch
    source: Plane
    """Luma of the patch."""
    shown: Plane
    """Luma of the source, enlarged, with the whole residual."""
    age: Plane
    """For each pixel of the patch, how many frames it is the mean of, less one at most."""
    strength: float


class Steady(MapNode[SteadyConfig]):
    """Blends each track's faces over time; forgets a track that misses a frame."""

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
        """Return how long the frames before go into a face, and into its strength."""
        memory_frames = self.config.memory_frames
        if memory_frames == 1:
            return 0.0
        rate = float(source.average_rate or _UNKNOWN_RATE)
        return max(memory_frames / rate, _STRENGTH_WARMUP * _STRENGTH_TIME_S)

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Forget all faces."""
        del segment
        info = inputs["restored"]
        self._shown = {}
        self._seconds_per_tick = float(info.time_base)
        return info

    def process(self, inputs: Inputs) -> Outputs:
        """Steady the faces of one frame."""
        patches = inputs.get("patches", FusedPatches).patches
        restored = inputs.get("restored", FrameRestored)
        before, self._shown = self._shown, {}
        steadied = [
            self._steadied(patch, face, inputs.pts, before.get(patch.track_id))
            for patch, face in zip(patches, restored.patches, strict=True)
        ]
        return {"restored": replace(restored, patches=tuple(steadied))}

    def close(self) -> None:
        """Let go of the faces."""
        self._shown = {}

    def _steadied(
        self, patch: FacePatch, face: RestoredPatch, pts: int, before: _Shown | None
    ) -> RestoredPatch:
        # Where nothing was restored nothing may change.
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
        """Lay the frame before over this one.

        Returns:
            What the blend adds to the luma of `shown`, exactly 0 outside the face; and how many
            earlier frames that makes each pixel of the source the mean of.
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
        """Return for each pixel how surely it shows what it showed before, 0 to 1."""
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
    """Return the slow part of a change over the face."""
    both = (gaussian_filter(plane, sigma_px, truncate=2) for plane in (moved * oval, oval))
    weighted, weights = both
    return (weighted / np.maximum(weights, 1e-3)).astype(np.float32)
