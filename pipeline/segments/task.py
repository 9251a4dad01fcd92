"""A segment of a job: run from a local copy of its source, checked, and kept in its video's store.

On file systems a segment is made in place, beside the output. In an object store it is made in this
machine's scratch folder, from a copy of the input there, and put into the store when it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodes.encode import Encode
from nodes.encode.writer import VIDEO_FILE
from nodes.node import Segment
from pipeline.containers.timing import packet_times
from pipeline.errors import RunFailedError
from pipeline.graph.graph import Graph
from pipeline.run.contract import Progress, SegmentResult, sink_folder
from pipeline.run.executor import SegmentExecutor
from pipeline.run.task import Task
from pipeline.segments.identity import Identity
from pipeline.segments.plan import Interval
from pipeline.segments.sources import check_unchanged
from pipeline.segments.store import SegmentStore
from pipeline.storage.locations import location_of
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged

__all__ = ["KeptTask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTask(Task):
    """A segment whose result is kept in its video's store, whichever machine makes it."""

    video: str
    """Path or URL of the source."""
    number: int
    """Of the segment in its video, from 0."""
    interval: Interval
    """Which frames it holds."""
    threads: int
    """CPU threads of its decoder and encoder."""
    codec: str | None
    """In place of the encoder's own choice, None to leave it that."""
    store: str
    """Path or URL of the store."""
    identity: Identity
    """What the result depends on."""
    stamp: str | None
    """Of the source that the identity is of, from `pipeline.segments.sources.source_stamp`."""
    scratch_dir: Path | None
    """Where each machine keeps copies, None for its temporary folder."""
    scratch_bytes: int
    """How much may lie there."""

    @property
    def source(self) -> str:
        """Path or URL of the video."""
        return self.video

    def run(self, executor: SegmentExecutor, listener: Callable[[Progress], None]) -> SegmentResult:
        """Run the segment, check what it made, and keep it.

        Raises:
            RunFailedError: the encoded file does not hold the frames that were encoded.
            StorageError: the object store or the scratch folder cannot be used.
            Exception: the first error of any node.
        """
        store = SegmentStore(location_of(self.store))
        scratch = scratch_of(self.scratch_dir, self.scratch_bytes)
        with (
            staged(self.video, scratch) as source,
            store.making(self.number, scratch) as folder,
        ):
            segment = Segment(
                source,
                folder,
                self.threads,
                start_pts=self.interval.start_pts,
                end_pts=self.interval.end_pts,
                warmup_pts=self.interval.warmup_pts,
                codec=self.codec,
            )
            check_unchanged(self.video, self.stamp)
            result = executor.run(segment, listener)
            check_unchanged(self.video, self.stamp)
            _check(folder, executor.graph, result, self.interval)
            return store.keep(
                folder, self.number, result, interval=self.interval, identity=self.identity
            )


def _check(folder: Path, graph: Graph, result: SegmentResult, interval: Interval) -> None:
    """Make sure that an encoded file holds the frames, all of them inside the interval."""
    for node in graph.nodes:
        if not issubclass(node.node_class, Encode):
            continue
        video = sink_folder(folder, node.name) / VIDEO_FILE
        times = list(packet_times(video, result.infos[node.name]))
        if len(times) != result.progress.frames:
            raise RunFailedError(
                f"{video}: holds {len(times)} of {result.progress.frames} frames, thrown away"
            )
        outside = [
            pts
            for pts in times
            if (interval.start_pts is not None and pts < interval.start_pts)
            or (interval.end_pts is not None and pts >= interval.end_pts)
        ]
        if outside:
            raise RunFailedError(
                f"{video}: holds a frame at {outside[0]}, expected from {interval.start_pts} to"
                f" before {interval.end_pts}; thrown away"
            )
