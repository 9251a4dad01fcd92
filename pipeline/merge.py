"""The segments' results as the result of one video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nodes.decode import DecodeConfig
from nodes.encode import Encode
from nodes.node import SinkNode, State
from nodes.sheet import SHEET_NAME, Sheet, SheetConfig
from nodes.sheet_page import merge_pages
from nodes.stitch import TrackEnds, stitch
from nodes.track import Track
from pipeline.graph import Graph
from pipeline.runner import Flow, Progress, SegmentResult

__all__ = ["merge_results", "merge_sheets", "why_uncut"]


def why_uncut(graph: Graph) -> str | None:
    """Return why a graph's segments could not become one result, None if they can."""
    for node in graph.nodes:
        if isinstance(node.config, DecodeConfig) and node.config.trims:
            return "only a part of it is wanted"
        if node.spec.state is State.UNBOUNDED:
            return f"node {node.name!r} ({node.spec.type_name}) needs the whole video"
        if issubclass(node.node_class, SinkNode) and not issubclass(
            node.node_class, Encode | Sheet
        ):
            return f"what node {node.name!r} ({node.spec.type_name}) writes cannot be joined"
    kinds = [node.node_class for node in graph.nodes]
    if any(issubclass(kind, Sheet) for kind in kinds) and _track(graph) is None:
        return f"a sheet can be joined only with {Track.spec.type_name} in the graph"
    return None


def merge_results(graph: Graph, results: Sequence[SegmentResult]) -> SegmentResult:
    """Add up what the segments of a video gave.

    Args:
        graph: what was run.
        results: of all segments, in order; at least one.
    """
    busy_s: Counter[str] = Counter()
    for result in results:
        busy_s.update(result.busy_s)
    return SegmentResult(
        infos=results[0].infos,
        progress=Progress(
            frames=sum(result.progress.frames for result in results),
            items=sum(result.progress.items for result in results),
        ),
        wall_s=sum(result.wall_s for result in results),
        busy_s=dict(busy_s),
        reports={
            node.name: node.node_class.merge_reports([r.reports[node.name] for r in results])
            for node in graph.nodes
        },
        flow=Flow(
            frame_wait_s=sum(result.flow.frame_wait_s for result in results),
            byte_wait_s=sum(result.flow.byte_wait_s for result in results),
            peak_bytes=max(result.flow.peak_bytes for result in results),
            travelled_bytes=sum(result.flow.travelled_bytes for result in results),
        ),
    )


def merge_sheets(
    graph: Graph, results: Sequence[SegmentResult], folders: Sequence[Path], target: Path
) -> bool:
    """Make one contact sheet of the segments' sheets.

    Args:
        graph: what was run.
        results: of all segments, in order.
        folders: where each one's files are.
        target: where the sheet goes.

    Returns:
        Whether there is one: without a face there is not.

    Raises:
        OSError: a sheet cannot be read or written.
    """
    configs = [n.config for n in graph.nodes if isinstance(n.config, SheetConfig)]
    if not configs:
        return False
    track = _track(graph)
    if track is None:
        pages = [(folder / SHEET_NAME, {}) for folder in folders]
    else:
        ends = [TrackEnds.from_report(result.reports[track]["ends"]) for result in results]
        pages = [
            (folder / SHEET_NAME, numbers)
            for folder, numbers in zip(folders, stitch(ends), strict=True)
        ]
    return merge_pages(pages, target, max_tracks=configs[0].max_tracks, columns=configs[0].columns)


def _track(graph: Graph) -> str | None:
    return next((n.name for n in graph.nodes if issubclass(n.node_class, Track)), None)
