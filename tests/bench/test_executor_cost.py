"""What the executor costs: a graph through it, against a plain loop over the same node objects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from nodes.node import (
    Inputs,
    MapNode,
    Node,
    NodeConfig,
    Outputs,
    PoolNode,
    Segment,
    SinkNode,
    SourceNode,
    Timed,
)
from nodes.types import VideoInfo
from pipeline.config import load_graph, merge_settings
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.run.contract import sink_folder
from pipeline.run.local import LocalRunner
from pipeline.run.task import SegmentTask
from tests.support import SAMPLES

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

RESULTS = Path(__file__).parent / "results"
REPEATS = 5
MOST = 1.03
"""The goal: the CPU time of the executor over that of the loop."""

CASES = {
    "default": [],
    # The executor puts faces of several frames into one batch, the loop cannot.
    "one_face_a_batch": ["enhance.max_batch=1"],
    "without_the_network": ["params.weights=bicubic"],
}


def loop(graph: Graph, nodes: Mapping[str, Node[NodeConfig]], segment: Segment) -> int:
    """Run a graph frame by frame, as one would by hand."""
    infos: dict[str, VideoInfo] = {}
    for entry in graph.nodes:
        own = segment
        if issubclass(entry.node_class, SinkNode):
            folder = sink_folder(segment.work_dir, entry.name)
            folder.mkdir(parents=True, exist_ok=True)
            own = Segment(segment.input, folder, segment.threads)
        inputs = {port: infos[edge.node] for port, edge in entry.inputs.items()}
        infos[entry.name] = nodes[entry.name].open(own, inputs)
    source = cast("SourceNode[NodeConfig]", nodes[graph.source.name])
    frames = 0
    for outputs in source.packets():
        sent: dict[tuple[str, str], Timed] = {}
        for entry in graph.nodes:
            node, made = nodes[entry.name], outputs if entry == graph.source else None
            inputs = Inputs({p: sent[e.node, e.port] for p, e in entry.inputs.items()})
            made = made or _answer(node, inputs)
            sent |= {(entry.name, port): packet for port, packet in made.items()}
        frames += 1
    for node in nodes.values():
        if isinstance(node, SinkNode):
            node.finish()
        node.close()
    return frames


def _answer(node: Node[NodeConfig], inputs: Inputs) -> Outputs:
    if isinstance(node, PoolNode):
        return node.process_batch([inputs])[0]
    if isinstance(node, MapNode):
        return node.process(inputs)
    cast("SinkNode[NodeConfig]", node).process(inputs)
    return {}


def cpu_s(call: Callable[[], Any]) -> float:
    """Return the CPU time of a call, in all threads."""
    started = time.process_time()
    call()
    return time.process_time() - started


@pytest.mark.parametrize("case", CASES)
def test_the_executor_costs_little_more_than_a_loop(case: str, tmp_path: Path) -> None:
    settings = [*CASES[case], "params.to_s=1.0"]
    config = merge_settings(None, settings)
    graph = load_graph(config)
    nodes = prepared(graph)
    # As LocalRunner does; it sets the nodes up, for both.
    with LocalRunner(graph, nodes, config.run, threads=1) as runner:
        times: dict[str, list[float]] = {"loop": [], "executor": []}
        for repeat in range(REPEATS + 1):
            segments = [
                Segment(str(SAMPLES / "portrait.mp4"), tmp_path / f"{kind}{repeat}", 1)
                for kind in times
            ]
            for segment in segments:
                segment.work_dir.mkdir()

            def executed(segment: Segment = segments[1]) -> None:
                (outcome,) = runner.run([SegmentTask(segment)], lambda *_: None)
                assert outcome.error is None

            by_hand = cpu_s(lambda s=segments[0]: loop(graph, nodes, s))
            by_executor = cpu_s(executed)
            if repeat:  # first calls are not what is measured
                times["loop"].append(by_hand)
                times["executor"].append(by_executor)
    ratio = min(times["executor"]) / min(times["loop"])
    RESULTS.mkdir(exist_ok=True)
    result = {"case": case, "cpu_s": times, "ratio_of_least": round(ratio, 4), "goal": MOST}
    path = RESULTS / f"executor_{case}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))  # noqa: T201 - a bench tells what it measured
