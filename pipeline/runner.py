"""What a runner is: something that takes segments through a graph, wherever it does that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from nodes.node import Inputs, Outputs, Segment
from nodes.types import VideoInfo

__all__ = [
    "Flow",
    "PoolClient",
    "Progress",
    "ProgressListener",
    "Runner",
    "SegmentOutcome",
    "SegmentResult",
    "sink_folder",
]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a segment has come."""

    frames: int = 0
    """Frames through every sink."""
    items: int = 0
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


ProgressListener = Callable[[Segment, Progress], None]
"""Called now and then, from the thread that runs the runner."""


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


@dataclass(frozen=True, slots=True)
class SegmentOutcome:
    """A segment that is over: exactly one of `result` and `error` is set."""

    segment: Segment
    result: SegmentResult | None = None
    error: BaseException | None = None
    attempts: int = field(default=1)


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


class Runner(Protocol):
    """Takes segments through a graph. A context manager: leaving it lets go of every resource."""

    name: str

    @property
    def restarts(self) -> int:
        """How many workers were lost and replaced so far."""
        ...

    def run(
        self, segments: Sequence[Segment], listener: ProgressListener
    ) -> Iterator[SegmentOutcome]:
        """Yield each segment's outcome as it comes; one failed segment does not stop the others."""
        ...

    def report(self) -> dict[str, Any]:
        """Return what the runner used and what its pools did, for `report.json`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
