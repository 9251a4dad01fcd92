"""Runs one segment where it is: its input and its results may lie in an object store.

On file systems a segment is made in place, beside the output. In an object store it is made in this
machine's scratch folder, from a copy of the input there, and put into the store when it is done.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from aminet.errors import AminetError
from nodes.encode import VIDEO_FILE, Encode
from nodes.node import Segment
from pipeline.config import RunOptions
from pipeline.errors import RunFailedError
from pipeline.executor import SegmentExecutor
from pipeline.graph import Graph
from pipeline.identity import Identity
from pipeline.plan import Interval
from pipeline.runner import Progress, SegmentResult, sink_folder
from pipeline.scratch import Scratch
from pipeline.segment_store import SegmentStore
from pipeline.storage import place_of, stored_at
from pipeline.video_timing import packet_times

__all__ = ["KeptSegment", "run_segment", "scratch_of", "staged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSegment(Segment):
    """A segment whose result is kept in its video's store, whoever asked for it."""

    number: int
    """Of the segment in its video, from 0."""
    store: str
    """Path or URL of the store."""
    identity: Identity
    """What the result depends on."""
    interval: Interval
    """Which frames it holds."""


def run_segment(
    executor: SegmentExecutor,
    segment: Segment,
    listener: Callable[[Progress], None],
    options: RunOptions,
) -> SegmentResult:
    """Take a segment through the graph; keep the result if it is one to be kept.

    Args:
        executor: the graph in this process.
        segment: what to run.
        listener: told the progress.
        options: where this machine's scratch folder is.

    Raises:
        RunFailedError: the encoded file does not hold the frames that were encoded.
        StorageError: the object store or the scratch folder cannot be used.
        Exception: the first error of any node.
    """
    if not isinstance(segment, KeptSegment):
        return executor.run(segment, listener)
    store, scratch = SegmentStore(place_of(segment.store)), scratch_of(options)
    with (
        staged(segment.input, scratch) as source,
        store.making(segment.number, scratch) as folder,
    ):
        result = executor.run(replace(segment, input=source, work_dir=folder), listener)
        _check(folder, executor.graph, result, segment.interval)
        store.keep(
            folder,
            segment.number,
            result,
            interval=segment.interval,
            identity=segment.identity,
        )
    return result


def scratch_of(options: RunOptions) -> Scratch:
    """Return this machine's scratch folder, one object a process."""
    default = Path(tempfile.gettempdir()) / f"aminet-scratch-{os.getuid()}"
    return _scratch(options.scratch_dir or default, int(options.scratch_bytes))


_scratch = cache(Scratch)


@contextmanager
def staged(source: str, scratch: Scratch) -> Generator[str]:
    """Give a source as something that libav opens: a local copy of what is in an object store.

    Errors speak of the source, not of its copy.

    Raises:
        StorageError: it cannot be copied.
    """
    stored = stored_at(source)
    if stored is None or isinstance(stored, Path):
        yield source if stored is None else str(stored)
        return
    with scratch.copy_of(stored) as copy:
        try:
            yield str(copy)
        except AminetError as error:
            error.message = error.message.replace(str(copy), source)
            raise


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
