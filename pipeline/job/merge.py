"""Merging the results of a video's segments."""

from __future__ import annotations

import os
import re
import reprlib
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from aminet.errors import AminetError
from nodes.join import SegmentPart
from nodes.node import NodeConfig, SinkNode, State, TrackingNode
from nodes.types import FrameChanges, FrameFaces, FramePatches, FrameRestored
from pipeline.errors import RunFailedError
from pipeline.graph.graph import Graph, GraphNode
from pipeline.graph.naming import naming
from pipeline.run.checks import check_report
from pipeline.run.contract import Flow, Progress, SegmentResult, sink_folder

__all__ = ["join_sinks", "merge_results", "side_endings", "tracks_followed", "why_uncut"]

_NUMBERED: Final = (FrameChanges, FrameFaces, FramePatches, FrameRestored)
"""Packets that contain track numbers."""

_ENDING: Final = re.compile(r"\.[^/\\]+(/[^/\\]+)*")
_TAKEN: Final = (".report.json", ".report.html")
"""The endings of the run's own report."""


def why_uncut(graph: Graph) -> str | None:
    """Return why videos cannot be split with a graph, None if they can."""
    for node in graph.nodes:
        what = node.label
        reason = node.config.uncut_reason()
        if reason is not None:
            return reason
        if node.spec.state is State.UNBOUNDED:
            return f"{what} needs the whole video"
        if not issubclass(node.node_class, SinkNode):
            continue
        if not node.node_class.can_join():
            return f"what {what} writes cannot be joined"
        by_number = any(issubclass(port.type, _NUMBERED) for port in node.spec.inputs)
        if by_number and _tracker_before(graph, node.name) is None:
            return f"what {what} writes names faces by numbers that no node before it can join"
    return None


def side_endings(graph: Graph) -> tuple[str, ...]:
    """Return the endings that a graph's sinks declare."""
    prefixes = _prefixes(graph)
    return tuple(
        prefixes[node.name] + _named(ending, node)
        for node, sink in _sinks(graph)
        for ending in sink.endings
    )


def join_sinks(
    graph: Graph, results: Sequence[SegmentResult], folders: Sequence[Path], made: Path
) -> dict[str, Path]:
    """Call `join` of each sink.

    Args:
        graph: the graph that was run.
        results: of all segments, in order.
        folders: the folder of each segment, which must not be changed.
        made: a folder to write to; its content is removed first.

    Returns:
        The files to publish, by ending.

    Raises:
        RunFailedError: a sink cannot join its files, or returns an invalid ending.
        OSError: a folder cannot be created.
    """
    # A killed run may have left files.
    shutil.rmtree(made, ignore_errors=True)
    sides: dict[str, Path] = {}
    prefixes = _prefixes(graph)
    for node, sink in _sinks(graph):
        own, wrote = made / node.name, [sink_folder(folder, node.name) for folder in folders]
        # Empty folders do not exist in an object store.
        for folder in (own, *wrote):
            folder.mkdir(parents=True, exist_ok=True)
        parts = [
            SegmentPart(folder, result.progress.frames, numbers, result.reports[node.name])
            for folder, result, numbers in zip(
                wrote, results, _numbers(graph, node, results), strict=True
            )
        ]
        for ending, file in _joined(node, sink, parts, own).items():
            whole = prefixes[node.name] + _named(ending, node)
            whole = f".{node.name}{whole}" if whole in sides or whole in _TAKEN else whole
            _check_ending(node, whole, sides)
            sides[whole] = _moveable(file, own)
    return sides


def tracks_followed(graph: Graph, results: Sequence[SegmentResult]) -> int | None:
    """Return the number of tracks, None if the graph has no tracker."""
    trackers = [node for node in graph.nodes if issubclass(node.node_class, TrackingNode)]
    if not trackers:
        return None
    return max(
        len({number for own in _numbers_of(node, results) for number in own.values()})
        for node in trackers
    )


def _sinks(graph: Graph) -> list[tuple[GraphNode, type[SinkNode[NodeConfig]]]]:
    return [(n, n.node_class) for n in graph.nodes if issubclass(n.node_class, SinkNode)]


def _named(ending: str, node: GraphNode) -> str:
    return ending.replace("{node}", node.name)


def _prefixes(graph: Graph) -> dict[str, str]:
    """Return a prefix for the endings of each sink: its name if an ending is used already."""
    taken: set[str] = set()
    prefixes: dict[str, str] = {}
    for node, sink in _sinks(graph):
        own = {_named(ending, node) for ending in sink.endings}
        prefixes[node.name] = prefix = f".{node.name}" if own & taken else ""
        taken |= {prefix + ending for ending in own}
    return prefixes


def _tracker_before(graph: Graph, name: str) -> GraphNode | None:
    """Return the last tracker before a node."""
    before = graph.before(name)
    found = [n for n in graph.nodes if n.name in before and issubclass(n.node_class, TrackingNode)]
    return found[-1] if found else None


def _numbers(
    graph: Graph, node: GraphNode, results: Sequence[SegmentResult]
) -> list[dict[int, int]]:
    tracker = _tracker_before(graph, node.name)
    return [{} for _ in results] if tracker is None else _numbers_of(tracker, results)


def _numbers_of(tracker: GraphNode, results: Sequence[SegmentResult]) -> list[dict[int, int]]:
    node_class = cast("type[TrackingNode[NodeConfig]]", tracker.node_class)
    return node_class.track_numbers([result.reports[tracker.name] for result in results])


def _joined(
    node: GraphNode,
    sink: type[SinkNode[NodeConfig]],
    parts: Sequence[SegmentPart],
    folder: Path,
) -> Mapping[str, Path]:
    what = node.label
    try:
        files = sink.join(parts, folder, node.config)
    except AminetError:
        raise
    except Exception as error:
        raise RunFailedError(
            f"{what} cannot join its files ({type(error).__name__}: {error})"
        ) from error
    if not _names_files(files):
        raise RunFailedError(
            f"{what}: join returned {reprlib.repr(files)}, expected the path (pathlib.Path) of"
            " each file to publish, by ending"
        )
    missing = [ending for ending, file in files.items() if not file.is_file()]
    if missing:
        raise RunFailedError(f"{what} names a file {missing[0]!r} that it did not write")
    return files


def _names_files(answer: object) -> bool:
    return isinstance(answer, Mapping) and all(
        isinstance(ending, str) and isinstance(file, Path)
        for ending, file in cast("Mapping[object, object]", answer).items()
    )


def _check_ending(node: GraphNode, ending: str, taken: Mapping[str, Path]) -> None:
    what = f"{node.label} names a file {ending!r}"
    if not _ENDING.fullmatch(ending) or ".." in ending.split("/"):
        raise RunFailedError(
            f"{what}, expected a text that begins with a dot and leads to no other folder"
        )
    if ending in taken:
        raise RunFailedError(f"{what}, which another file has already")


def _moveable(file: Path, folder: Path) -> Path:
    """Return a file that may be moved; files in segment folders are linked or copied."""
    if file.is_relative_to(folder):
        return file
    twin = folder / f"{uuid.uuid4().hex}{file.suffix}"
    try:
        os.link(file, twin)
    except OSError:
        shutil.copyfile(file, twin)
    return twin


def _merged_report(node: GraphNode, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    with naming(node):
        return check_report(node.node_class.merge_reports(reports))


def merge_results(graph: Graph, results: Sequence[SegmentResult]) -> SegmentResult:
    """Merge the results of a video's segments.

    Args:
        graph: the graph that was run.
        results: of all segments, in order; at least one.
    """
    busy_s: Counter[str] = Counter()
    for result in results:
        busy_s.update(result.busy_s)
    return SegmentResult(
        infos=results[0].infos,
        progress=Progress(
            frames=sum(result.progress.frames for result in results),
            faces=sum(result.progress.faces for result in results),
        ),
        wall_s=sum(result.wall_s for result in results),
        busy_s=dict(busy_s),
        reports={
            node.name: _merged_report(node, [r.reports[node.name] for r in results])
            for node in graph.nodes
        },
        flow=Flow(
            frame_wait_s=sum(result.flow.frame_wait_s for result in results),
            byte_wait_s=sum(result.flow.byte_wait_s for result in results),
            peak_bytes=max(result.flow.peak_bytes for result in results),
            travelled_bytes=sum(result.flow.travelled_bytes for result in results),
        ),
    )
