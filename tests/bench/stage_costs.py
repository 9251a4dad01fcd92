"""CPU time of each node of the shipped graph on one video.

    python tests/bench/stage_costs.py FILM [--without encode,sheet,...] [--weights aminet-s]

The nodes run one after another on blocks of frames, with one thread for each library, so that all
CPU time of the process belongs to the node that is running. Prints JSON.

Imports nothing of `tests`: with `PYTHONPATH` set to another version's folder it measures that one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import cv2

import nodes
from nodes.join import SegmentPart
from nodes.node import Inputs, Outputs, PoolNode, Segment, SinkNode, SourceNode
from pipeline.graph.build import build_graph
from pipeline.graph.graph import Graph, GraphNode
from pipeline.graph.prepare import prepared
from pipeline.graph.reading import read_graph_spec
from pipeline.run.contract import sink_folder

BLOCK: Final = 16
GRAPHS: Final = Path(nodes.__file__).parent.parent / "configs" / "graphs"
Made = dict[tuple[str, str], list[Any]]
"""The packets of a block of frames, by node and port."""


class Costs:
    """Runs a graph on one video, and sums the CPU time of each node."""

    def __init__(self, graph: Graph, film: Path, folder: Path, without: Sequence[str]) -> None:
        self._entries = [entry for entry in graph.nodes if entry.name not in without]
        self._nodes = prepared(graph)
        self._folder = folder
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.once_s: dict[str, float] = defaultdict(float)
        """Of what is done once for each segment and video: `finish` and `join`."""
        self.frames = self.faces = 0
        infos: dict[str, Any] = {}
        for entry in self._entries:
            node = self._nodes[entry.name]
            work = sink_folder(folder, entry.name)
            work.mkdir(parents=True)
            node.setup(1)
            inputs = {port: infos[edge.node] for port, edge in entry.inputs.items()}
            infos[entry.name] = node.open(Segment(str(film), work, 1), inputs)

    def run(self) -> None:
        """Run all nodes on all frames."""
        source = self._entries[0]
        node = self._nodes[source.name]
        assert isinstance(node, SourceNode)
        packets = node.packets()
        while block := self._decoded(source, packets):
            self.frames += len(block)
            made: Made = {}
            self._add(made, source, block)
            for entry in self._entries[1:]:
                self._process(entry, made, len(block))
        for entry in self._entries:
            self._end(entry)

    def _decoded(self, source: GraphNode, packets: Iterator[Outputs]) -> list[Outputs]:
        with self._counted(self.cpu_s, source.name):
            return list(islice(packets, BLOCK))

    def _process(self, entry: GraphNode, made: Made, frames: int) -> None:
        node = self._nodes[entry.name]
        inputs = [
            Inputs({port: made[edge.node, edge.port][i] for port, edge in entry.inputs.items()})
            for i in range(frames)
        ]
        outputs: list[Any] = []
        if isinstance(node, PoolNode):
            self.faces += sum(node.weight(each) for each in inputs)
        with self._counted(self.cpu_s, entry.name):
            if isinstance(node, PoolNode):
                outputs = node.process_batch(inputs)
            else:
                outputs = [node.process(each) for each in inputs]  # pyright: ignore[reportAttributeAccessIssue,reportUnknownVariableType]
        if not isinstance(node, SinkNode):
            self._add(made, entry, outputs)

    def _end(self, entry: GraphNode) -> None:
        node = self._nodes[entry.name]
        with self._counted(self.once_s, entry.name):
            if isinstance(node, SinkNode):
                node.finish()
            node.close()
            if isinstance(node, SinkNode):
                joined = self._folder / f"joined.{entry.name}"
                joined.mkdir()
                wrote = sink_folder(self._folder, entry.name)
                part = SegmentPart(wrote, self.frames, {}, node.report())
                node.join([part], joined, node.config)

    def _add(self, made: Made, entry: GraphNode, outputs: Sequence[Outputs]) -> None:
        for port in entry.spec.outputs:
            made[entry.name, port.name] = [packets[port.name] for packets in outputs]

    @contextmanager
    def _counted(self, sums: dict[str, float], name: str) -> Generator[None]:
        started = time.process_time()
        yield
        sums[name] += time.process_time() - started


def measure(film: Path, without: Sequence[str], params: dict[str, Any]) -> dict[str, Any]:
    """Return CPU ms a frame of each node, and of what is done once."""
    graph = build_graph(read_graph_spec(GRAPHS / "enhance.yaml"), params=params)
    with tempfile.TemporaryDirectory() as folder:
        costs = Costs(graph, film, Path(folder), without)
        costs.run()
    frames = max(1, costs.frames)
    return {
        "film": film.name,
        "frames": costs.frames,
        "faces_a_frame": round(costs.faces / frames, 2),
        "ms_a_frame": {k: round(1000 * v / frames, 2) for k, v in costs.cpu_s.items()},
        "once_ms": {k: round(1000 * v, 1) for k, v in costs.once_s.items() if v >= 5e-4},
    }


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--without", default="", help="nodes to leave out, with all that read them")
    parser.add_argument("--weights", default="aminet-s")
    parser.add_argument("--scale", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    cv2.setNumThreads(1)
    without = [name for name in arguments.without.split(",") if name]
    params = {"weights": arguments.weights, "scale": arguments.scale}
    sys.stdout.write(json.dumps(measure(arguments.film, without, params)) + "\n")


if __name__ == "__main__":
    main()
