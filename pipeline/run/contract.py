"""What running one segment gives, and the way from a segment to a pool."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nodes.node import Inputs, Outputs
from nodes.types import VideoInfo

__all__ = ["Flow", "PoolClient", "Progress", "SegmentResult", "sink_folder"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a segment has come."""

    frames: int = 0
    """Frames through every sink."""
    faces: int = 0
    """Items of pool work handed in: faces, in the main job."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How a segment's work flowed, and what held it back."""

    frame_wait_s: float = 0.0
    """How long the source waited because `window_frames` were under way."""
    byte_wait_s: float = 0.0
    """How long pool work waited because too many bytes were under way."""
    peak_bytes: int = 0
    """Most bytes of pool work that were under way at once, as the nodes reckon them."""
    travelled_bytes: int = 0
    """Bytes of pool work in all, there and back."""


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What running one segment gave, besides the files in its `work_dir`. Pickles."""

    infos: Mapping[str, VideoInfo]
    """For each node, the video its outputs belong to (for a sink: its own answer to `open`)."""
    progress: Progress
    wall_s: float
    busy_s: Mapping[str, float]
    """For each node, wall time spent inside it, of a pool's batches the segment's share; nodes
    overlap, so the sum may exceed `wall_s`."""
    reports: Mapping[str, dict[str, Any]]
    """For each node, its own report."""
    flow: Flow = Flow()


def sink_folder(work_dir: Path, node: str) -> Path:
    """Return the folder of one sink's files in a segment's folder."""
    return work_dir / node


class PoolClient(Protocol):
    """The way from a segment to a pool node, which may be in this process or far away."""

    @property
    def busy_s(self) -> float:
        """How long the node has worked on what was handed in here and is answered."""
        ...

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Hand in one frame's packets. Does not block."""
        ...
