"""The result of running a segment, and the interface to a pool node."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from nodes.node import Inputs, Outputs, Segment
from nodes.types import VideoInfo

__all__ = ["Flow", "PoolClient", "Progress", "SegmentResult", "own_part", "sink_folder"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a segment."""

    frames: int = 0
    """Frames that all sinks have finished."""
    faces: int = 0
    """Faces sent to pools: the sum of `PoolNode.weight`."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Flow control of a segment."""

    frame_wait_s: float = 0.0
    """Time that the source waited because `window_frames` were in flight."""
    byte_wait_s: float = 0.0
    """Time that pool work waited because too many bytes were in flight."""
    peak_bytes: int = 0
    """Most bytes of pool work in flight, as given by `PoolNode.travel_bytes`."""
    travelled_bytes: int = 0
    """Sum of the bytes of all pool work, inputs and outputs."""


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """The result of running a segment, besides the files in its `work_dir`. Can be pickled."""

    infos: Mapping[str, VideoInfo]
    """The result of each node's `open`: the video that its outputs belong to."""
    progress: Progress
    wall_s: float
    busy_s: Mapping[str, float]
    """Wall time in each node, for pools the segment's share of the batches. Nodes overlap, so that
    the sum may exceed `wall_s`."""
    reports: Mapping[str, dict[str, Any]]
    """The report of each node."""
    flow: Flow = Flow()


def sink_folder(work_dir: Path, node: str) -> Path:
    """Return the folder of a sink's files in a segment's folder."""
    return work_dir / node


def own_part(segment: Segment, node: str) -> Segment:
    """Return the segment for a sink, with a folder of its own."""
    folder = sink_folder(segment.work_dir, node)
    folder.mkdir(parents=True, exist_ok=True)
    return replace(segment, work_dir=folder)


class PoolClient(Protocol):
    """A client of a pool node, which may be in this process or on another machine."""

    @property
    def busy_s(self) -> float:
        """Time that the node has spent on finished work of this client, s."""
        ...

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Submit the packets of one frame. Does not block."""
        ...
