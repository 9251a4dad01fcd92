"""`aminet.fuse`: averages each face over earlier frames, as additional input for the network.

Each new patch is registered to the mean of the previous ones, and earlier patches are resampled on
its grid with the composed transforms. Pixels that agree are averaged (`aminet.history`), which
reduces noise and compression artefacts. `aminet.steady` uses the same transform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nodes.fuse.mean import Fused, drawable, fuse
from nodes.geometry.alignment import (
    Matrix,
    compose,
    invert,
    scaling,
    similarity_scale,
    translation,
)
from nodes.geometry.registration import Plane, oval_on_grid, register
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.types import EYES_OF_SIZE, FaceHistory, FacePatch, FramePatches, FusedPatches, VideoInfo

__all__ = ["Fuse", "FuseConfig"]

_MEMORY_S: Final = 0.5
"""Patches older than this are dropped, s."""
_LEAST_SHARE: Final = 0.2
"""If less than this share of a face agrees with the frame before, its history is dropped: the
registration is wrong, or something else is seen."""
_FINE_SQUARE: Final = 1.5
"""Pixels of the network's square per pixel of the source, above which the mean is twice as fine as
the source."""
_IDENTITY: Final = translation(0, 0)


class FuseConfig(NodeConfig):
    """How many frames to average."""

    frames: int = Field(default=7, ge=1, le=13)
    """Most frames in the mean, including the current one; only those of the last half second. 1
    disables the history, which a network of 3 channels does not use."""
    memory_mb: float = Field(default=64.0, gt=0)
    """Most memory for earlier patches, in MB (10^6 bytes), shared evenly by the faces of a frame:
    with many large faces the history is shorter."""


@dataclass(frozen=True, slots=True, eq=False)
class _Earlier:
    """An earlier patch of a track."""

    pts: int
    drawable: npt.NDArray[Any]
    now_from_patch: Matrix
    """Transform from its coordinates to those of the track's latest patch."""


@dataclass(frozen=True, slots=True, eq=False)
class _TrackState:
    """State of a track after a frame."""

    patch: FacePatch
    luma: Plane
    """Luma of the mean, in [0, 1], on the grid of `patch`; the next patch is registered to it."""
    earlier: tuple[_Earlier, ...]
    """In order of time; the last is `patch` itself."""
    noise: float | None
    """See `Fused.noise`; None if there was nothing to compare with."""


class Fuse(MapNode[FuseConfig]):
    """Averages each track's patches over time. The state of a track ends with a missed frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.fuse",
        summary="tell the network what earlier frames say about each face",
        inputs=(Port("patches", FramePatches),),
        outputs=(Port("patches", FusedPatches),),
        state=State.BOUNDED,
        warmup_s=_MEMORY_S,
    )
    Config: ClassVar[type[NodeConfig]] = FuseConfig

    def __init__(self, config: FuseConfig) -> None:
        super().__init__(config)
        self._known: dict[int, _TrackState] = {}
        self._memory_ticks = 0.0
        self._start_pts: int | None = None
        self._faces = 0
        self._fused = 0

    def setup(self, threads: int) -> None:
        """Limit OpenCV to one thread, since patches are too small to divide."""
        del threads
        cv2.setNumThreads(1)

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without tracks."""
        info = inputs["patches"]
        self._known = {}
        self._memory_ticks = _MEMORY_S / float(info.time_base)
        self._start_pts = segment.start_pts
        self._faces = self._fused = 0
        return info

    def process(self, inputs: Inputs) -> Outputs:
        """Add the history to the patches of one frame."""
        packet = inputs.get("patches", FramePatches)
        before, self._known = self._known, {}
        budget = self.config.memory_mb * 1e6 / max(1, len(packet.patches))
        patches = tuple(
            self._followed(patch, packet.pts, before.get(patch.track_id), budget)
            for patch in packet.patches
        )
        if self._start_pts is None or packet.pts >= self._start_pts:
            self._faces += len(patches)
            self._fused += sum(patch.history is not None for patch in patches)
        return {"patches": FusedPatches(packet.pts, patches, packet.gated)}

    def close(self) -> None:
        """Free the patches."""
        self._known = {}

    def report(self) -> dict[str, Any]:
        """Return the number of faces, and of those with a history."""
        return {"faces": self._faces, "with_history": self._fused}

    def _followed(
        self, patch: FacePatch, pts: int, before: _TrackState | None, budget_bytes: float
    ) -> FacePatch:
        """Return the patch with its history, and update the track's state."""
        luma, own = _luma(patch.rgb, patch.bit_depth), drawable(patch.rgb)
        earlier: list[_Earlier] = []
        fused: Fused | None = None
        if before is not None:
            oval = _oval(patch)
            guess = compose(invert(patch.crop_from_region), _square_of(patch, before.patch))
            transform = register(luma, before.luma, guess, oval)
            patch = replace(patch, region_from_before=transform)
            earlier = [
                _Earlier(old.pts, old.drawable, compose(transform, old.now_from_patch))
                for old in before.earlier
                if pts - old.pts <= self._memory_ticks
            ]
            fused = _fused(patch, own, earlier, oval, before.noise)
            if fused is None:
                earlier = []
            else:
                finer = fused.rgb.shape[0] // luma.shape[0]
                luma = _luma(fused.rgb[::finer, ::finer], patch.bit_depth)
                patch = replace(patch, history=FaceHistory(fused.rgb, fused.weight))
        newest = _Earlier(pts, own, _IDENTITY)
        kept = self._kept((*earlier, newest), budget_bytes)
        noise = None if fused is None else fused.noise
        self._known[patch.track_id] = _TrackState(patch, luma, kept, noise)
        return patch

    def _kept(self, patches: tuple[_Earlier, ...], budget_bytes: float) -> tuple[_Earlier, ...]:
        """Return the newest patches, as many as fit the memory budget."""
        fitting = int(budget_bytes // patches[-1].drawable.nbytes)
        most = min(self.config.frames - 1, fitting)
        return patches[-most:] if most else ()


def _fused(
    patch: FacePatch,
    own: npt.NDArray[Any],
    earlier: Sequence[_Earlier],
    oval: Plane,
    noise: float | None,
) -> Fused | None:
    """Return the mean; None without earlier patches, or if they show something else."""
    if not earlier:
        return None
    fine = similarity_scale(patch.crop_from_region) >= _FINE_SQUARE
    fused = fuse(
        patch.rgb,
        own if fine else None,
        [(old.drawable, old.now_from_patch) for old in earlier],
        oval,
        bit_depth=patch.bit_depth,
        side_px=patch.eye_distance_px / EYES_OF_SIZE,
        noise_before=noise,
    )
    return fused if fused.newest_share >= _LEAST_SHARE else None


def _luma(rgb: npt.NDArray[Any], bit_depth: int) -> Plane:
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return np.multiply(luma, np.float32(1 / ((1 << bit_depth) - 1)), dtype=np.float32)


def _square_of(patch: FacePatch, before: FacePatch) -> Matrix:
    """Return the transform from an earlier patch's region to the square of this one."""
    return compose(scaling(patch.size_px / before.size_px), before.crop_from_region)


def _oval(patch: FacePatch) -> Plane:
    """Return the face's mask on the grid of its patch."""
    square_from_region = compose(scaling(1 / patch.size_px), patch.crop_from_region)
    return oval_on_grid(square_from_region, patch.rgb.shape[:2], patch.yaw_deg)
