"""The task of a job's segment: run it, check its file, and store the result.

On file systems a segment is written beside the output. With an object store it is written to this
machine's scratch folder, from a local copy of the input, and uploaded when it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodes.encode import Encode
from nodes.encode.report import parts_in
from nodes.errors import MediaError
from nodes.node import Segment
from nodes.types import PictureForm, VideoInfo
from pipeline.errors import RunFailedError
from pipeline.graph.graph import Graph
from pipeline.pieces.packets import packet_times
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
    """A task that stores its result in the store of its video."""

    video: str
    """Path or URL of the source."""
    number: int
    """Number of the segment, from 0."""
    interval: Interval
    """The frames of the segment."""
    threads: int
    """CPU threads of its decoder and encoder."""
    codec: str | None
    """The codec for `encode.codec=auto`, None for the encoder's choice."""
    store: str
    """Path or URL of the store."""
    identity: Identity
    """Identity of the result."""
    stamp: str | None
    """Stamp of the source, from `pipeline.segments.sources.source_stamp`."""
    pictures: tuple[PictureForm, ...]
    """The forms of the source's pictures, if they change within it."""
    scratch_dir: Path | None
    """Folder for local copies, None for the temporary folder."""
    scratch_bytes: int
    """Most bytes in it."""

    @property
    def source(self) -> str:
        """Path or URL of the video."""
        return self.video

    def run(self, executor: SegmentExecutor, listener: Callable[[Progress], None]) -> SegmentResult:
        """Run the segment, check its file, and store the result.

        Raises:
            RunFailedError: the encoded file does not contain all frames.
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
                cuts=self.interval.cuts,
                pictures=self.pictures,
            )
            check_unchanged(self.video, self.stamp)
            result = executor.run(segment, listener)
            check_unchanged(self.video, self.stamp)
            _check(folder, executor.graph, result, self.interval)
            return store.keep(
                folder, self.number, result, interval=self.interval, identity=self.identity
            )


def _check(folder: Path, graph: Graph, result: SegmentResult, interval: Interval) -> None:
    """Check that encoded files contain all frames, and that they are inside the interval."""
    for node in graph.nodes:
        if issubclass(node.node_class, Encode):
            _check_parts(sink_folder(folder, node.name), node.name, result, interval)


def _times(file: Path, info: VideoInfo) -> list[int]:
    try:
        return list(packet_times(file, info))
    except MediaError as error:
        raise RunFailedError(f"cannot be read back: {error}; was it removed?") from error


def _check_parts(folder: Path, node: str, result: SegmentResult, interval: Interval) -> None:
    frames = 0
    for part in parts_in(result.reports[node]):
        frames += part.frames
        if part.file is None:
            times = [part.first_pts, part.last_pts]
        else:
            times = _times(folder / part.file, result.infos[node])
            if len(times) != part.frames:
                raise RunFailedError(
                    f"{folder / part.file}: holds {len(times)} of {part.frames} frames, thrown away"
                )
        outside = [
            pts
            for pts in times
            if (interval.start_pts is not None and pts < interval.start_pts)
            or (interval.end_pts is not None and pts >= interval.end_pts)
        ]
        if outside:
            raise RunFailedError(
                f"{folder}: holds a frame at {outside[0]}, expected from {interval.start_pts} to"
                f" before {interval.end_pts}; thrown away"
            )
    if frames != result.progress.frames:
        raise RunFailedError(
            f"{folder}: holds {frames} of {result.progress.frames} frames, thrown away"
        )
