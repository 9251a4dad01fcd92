"""The segments' results as the result of one video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nodes.crop import CropConfig
from nodes.decode import DecodeConfig
from nodes.encode import Encode
from nodes.node import SinkNode, State
from nodes.sheet import Sheet
from nodes.track import Track
from nodes.tracks import Tracks
from pipeline.graph.graph import Graph
from pipeline.run.contract import Flow, Progress, SegmentResult

__all__ = ["merge_results", "why_uncut"]


def why_uncut(graph: Graph) -> str | None:
    """Return why a graph's segments could not become one result, None if they can."""
    for node in graph.nodes:
        if isinstance(node.config, DecodeConfig) and node.config.trims:
            return "only a part of it is wanted"
        if node.spec.state is State.UNBOUNDED:
            return f"node {node.name!r} ({node.spec.type_name}) needs the whole video"
        if issubclass(node.node_class, SinkNode) and not issubclass(
            node.node_class, Encode | Sheet | Tracks
        ):
            return f"what node {node.name!r} ({node.spec.type_name}) writes cannot be joined"
        if isinstance(node.config, CropConfig) and node.config.track_ids is not None:
            return "faces are chosen by their numbers, which hold for the whole video"
    kinds = [node.node_class for node in graph.nodes]
    by_face = [kind for kind in kinds if issubclass(kind, Sheet | Tracks)]
    if by_face and not any(issubclass(kind, Track) for kind in kinds):
        wanted = Track.spec.type_name
        return f"what {by_face[0].spec.type_name} writes can be joined only with {wanted}"
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
