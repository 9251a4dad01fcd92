"""Doing the work of a report again, all of it or up to some frames, and comparing."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from nodes.evidence import Evidence
from nodes.evidence.rows import ROWS_NAME, FaceRow, FrameRow, read_rows
from nodes.media.picture_forms import picture_forms
from nodes.node import Node, NodeConfig, Segment
from nodes.paste import Paste, PasteConfig
from pipeline.config import RunOptions
from pipeline.errors import GraphError
from pipeline.evidence.record import Work
from pipeline.graph.build import build_graph
from pipeline.graph.graph import Edge, Graph, GraphNode
from pipeline.graph.roles import video_number
from pipeline.graph.spec import GraphSpec
from pipeline.run.contract import sink_folder
from pipeline.run.local import LocalRunner
from pipeline.run.task import SegmentTask
from pipeline.segments.identity import content_ids
from pipeline.verification.check_node import CheckConfig, CheckRepetition, Compared
from pipeline.verification.findings import Finding, failed, ok
from pipeline.verification.pictures import OutputPictures

__all__ = ["Repetition", "check_weights", "parts_of", "recorded_graph", "repeat"]

_PLAIN: Final = "plain (verification)"
_CHECK: Final = "check (verification)"
"""Names that no node of a graph file is likely to have; one that has them cannot be repeated."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """What came of doing the work again."""

    rows: list[FrameRow]
    """Of the frames that were done, in order."""
    compared: Compared


def recorded_graph(work: Work) -> Graph:
    """Return the graph of a report, checked as one of a file is.

    Raises:
        GraphError: it is none, or has nodes that are not installed.
    """
    try:
        spec = GraphSpec.model_validate(work.graph)
    except ValueError as error:
        raise GraphError(f"the report's graph is none: {error}") from error
    return build_graph(spec)


def check_weights(nodes: Mapping[str, Node[NodeConfig]], work: Work) -> Finding:
    """Compare the files that nodes load with their digests."""
    now = {name: content for name, content in content_ids(nodes).items() if content}
    if now == work.weights:
        return ok("weights", ", ".join(f"{name} {sha[:16]}" for name, sha in now.items()) or "none")
    return failed("weights", f"are not those of the run: now {now}, recorded {work.weights}")


def parts_of(
    work: Work, rows: Sequence[FrameRow], sample: int | None
) -> list[tuple[int | None, int | None, int | None]]:
    """Return what is to be done again: each segment's first pts, end pts and warm-up pts.

    Args:
        work: with the segments of the run.
        rows: of all frames.
        sample: how many frames to choose at random; their segments are done again up to the last
            of them in each. None does everything.
    """
    if sample is None or sample >= len(rows):
        return list(work.segments)
    chosen = sorted(row["pts"] for row in random.SystemRandom().sample(list(rows), sample))
    parts: list[tuple[int | None, int | None, int | None]] = []
    for start, end, warmup in work.segments:
        inside = [
            pts for pts in chosen if (start is None or pts >= start) and (end is None or pts < end)
        ]
        if inside:
            parts.append((start, inside[-1] + 1, warmup))
    return parts


def repeat(
    graph: Graph,
    nodes: Mapping[str, Node[NodeConfig]],
    source: str,
    work: Work,
    parts: Sequence[tuple[int | None, int | None, int | None]],
    pictures: OutputPictures,
) -> Repetition:
    """Take a source through a graph again, encode nothing, and compare.

    Args:
        graph: of the report; has `aminet.evidence` and `aminet.paste`.
        nodes: its nodes, prepared.
        source: path of the same input.
        work: what was run.
        parts: from `parts_of`.
        pictures: of the output.

    Raises:
        GraphError: the graph has no node that tells what it changed.
        Exception: the first error of a node.
    """
    checked, evidence = _with_check(graph)
    check = CheckRepetition(pictures.at, pictures.color)
    mine = {node.name: nodes[node.name] for node in checked.nodes if node.name in nodes}
    plain = next(node for node in checked.nodes if node.name == _PLAIN)
    mine |= {_PLAIN: plain.make(), _CHECK: cast("Node[NodeConfig]", check)}
    rows: list[FrameRow] = []
    options = RunOptions(threads=work.threads)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalRunner(checked, mine, options, threads=work.threads) as runner,
    ):
        forms = picture_forms(source, video_number(graph))
        tasks = [
            SegmentTask(
                Segment(
                    source,
                    Path(folder) / str(number),
                    work.threads,
                    *part,
                    pictures=forms,
                )
            )
            for number, part in enumerate(parts)
        ]
        for outcome in runner.run(tasks, lambda _task, _at: None):
            if outcome.error is not None:
                raise outcome.error
            task = cast("SegmentTask", outcome.task)
            rows.extend(read_rows(sink_folder(task.segment.work_dir, evidence) / ROWS_NAME))
    return Repetition(rows, check.compared)


def _with_check(graph: Graph) -> tuple[Graph, str]:
    """Return the part of a graph that ends in its evidence, with the check beside that."""
    ends = [node for node in graph.nodes if issubclass(node.node_class, Evidence)]
    if len(ends) != 1:
        raise GraphError(
            f"graph {graph.name!r} has {len(ends)} nodes aminet.evidence, expected one"
        )
    end = ends[0]
    nodes = {node.name: node for node in graph.nodes}
    paste = nodes[end.inputs["changes"].node]
    # Nodes that draw on pasted frames hand on their changes.
    while "changes" in paste.inputs:
        paste = nodes[paste.inputs["changes"].node]
    if not issubclass(paste.node_class, Paste) or not isinstance(paste.config, PasteConfig):
        raise GraphError(f"node {paste.name!r} is not aminet.paste, whose changes can be checked")
    kept = [n for n in graph.nodes if n.name in graph.before(end.name) or n.name == end.name]
    plain = replace(paste, name=_PLAIN, config=paste.config.model_copy(update={"strength": 0.0}))
    inputs = {
        "plain": Edge(_PLAIN, "frames"),
        "written": end.inputs["written"],
        "changes": end.inputs["changes"],
    }
    check = GraphNode(_CHECK, CheckRepetition, CheckConfig(), inputs)
    return Graph(graph.name, (*kept, plain, check), graph.params), end.name


def differing(
    rows: Sequence[FrameRow], recorded: Mapping[int, FrameRow]
) -> Iterator[tuple[str, int]]:
    """Yield what differs between rows and recorded ones, and at which pts."""
    for row in rows:
        known = recorded.get(row["pts"])
        if known is None:
            yield "frame", row["pts"]
        elif row["source"] != known["source"]:
            yield "source", row["pts"]
        elif [_where(face) for face in row["faces"]] != [_where(face) for face in known["faces"]]:
            yield "faces", row["pts"]
        elif row["written"] != known["written"] or row != {**known, "faces": _as(row, known)}:
            yield "written", row["pts"]


def _where(face: FaceRow) -> tuple[int, int, int, int]:
    return face["region_xyxy_px"]


def _as(row: FrameRow, known: FrameRow) -> list[FaceRow]:
    """Return known faces with the numbers that a row has: a segment counts tracks from 1."""
    return [
        cast("FaceRow", {**face, "track_id": own["track_id"]})
        for face, own in zip(known["faces"], row["faces"], strict=True)
    ]
