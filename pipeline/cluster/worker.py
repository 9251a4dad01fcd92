"""The segment worker: an actor that runs the graph on one segment after another."""

from __future__ import annotations

import os
from typing import cast

from nodes.node import Node, NodeConfig, PoolNode
from pipeline.cluster.metrics import WorkerMetrics
from pipeline.cluster.pool import Pools, RayPoolClient
from pipeline.cluster.shared import Shared
from pipeline.config import RunOptions
from pipeline.graph.graph import Graph
from pipeline.run.contract import Progress, SegmentResult
from pipeline.run.executor import SegmentExecutor
from pipeline.run.malloc import limit_malloc_arenas
from pipeline.run.task import Task

__all__ = ["SegmentWorker"]


class SegmentWorker:
    """Sets up the graph's nodes and runs tasks. `progress` and `use` may be called during `run`."""

    def __init__(
        self,
        graph: Graph,
        nodes: Shared[dict[str, Node[NodeConfig]]],
        options: RunOptions,
        threads: int,
        window_bytes: int | None,
    ) -> None:
        """Set the nodes up.

        Args:
            graph: the dataflow.
            nodes: its prepared nodes, except pool nodes.
            options: run options.
            threads: CPU threads that each node's libraries may use.
            window_bytes: most bytes of faces in flight, None for no limit.
        """
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        limit_malloc_arenas()
        # Pool nodes run in enhancers; these instances are used without `setup`.
        far = {
            entry.name: cast("PoolNode[NodeConfig]", entry.make())
            for entry in graph.nodes
            if issubclass(entry.node_class, PoolNode)
        }
        self._clients = {
            name: RayPoolClient(node, options.block_frames) for name, node in far.items()
        }
        self._metrics = WorkerMetrics()
        self._progress = Progress()
        self._executor = SegmentExecutor(
            graph,
            {**nodes.get(), **far},
            self._clients,
            threads=threads,
            window_frames=options.window_frames,
            window_bytes=window_bytes,
            picture_bytes=options.window_mb * 1_000_000,
        )

    def run(self, task: Task, pools: Pools) -> SegmentResult:
        """Run a task; its results are stored when this returns."""
        self._progress = Progress()
        self.use(pools)
        for client in self._clients.values():
            client.caller = task.source
        self._metrics.begin()
        try:
            result = task.run(self._executor, self._note)
        except Exception:
            self._metrics.end("failed")
            raise
        self._metrics.advance(result.progress)
        self._metrics.end("finished")
        return result

    def use(self, pools: Pools) -> None:
        """Send faces to these enhancers from now on."""
        for name, client in self._clients.items():
            client.use(pools[name])

    def progress(self) -> Progress:
        """Return the progress of the current segment."""
        return self._progress

    def _note(self, progress: Progress) -> None:
        self._progress = progress
        self._metrics.advance(progress)
