"""The local runner, which runs the graph in this process. The default for one video."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self, cast

from nodes.node import Inputs, Node, NodeConfig, Outputs, PoolNode
from pipeline.config import RunOptions
from pipeline.errors import NodeSetupError
from pipeline.graph.graph import Graph
from pipeline.graph.naming import naming
from pipeline.run.batcher import Batcher, pool_report
from pipeline.run.contract import PoolClient
from pipeline.run.executor import SegmentExecutor
from pipeline.run.memory import FACE_BYTES
from pipeline.run.task import ProgressListener, Task, TaskOutcome

__all__ = ["LocalRunner"]

log = logging.getLogger(__name__)


class _LocalPool:
    """A pool node in this process, with its batcher."""

    def __init__(self, node: PoolNode[NodeConfig], threads: int, max_wait_s: float) -> None:
        self.node = node
        node.setup(threads)
        self.batcher = Batcher(node, max_wait_s=max_wait_s)
        self.busy_s = 0.0

    def _spend(self, share_s: float) -> None:
        self.busy_s += share_s

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        answer: Future[Outputs] = Future()

        def pass_on(block: Future[list[Outputs]]) -> None:
            error = block.exception()
            if error is None:
                answer.set_result(block.result()[0])
            else:
                answer.set_exception(error)

        self.batcher.submit([inputs], spent=self._spend).add_done_callback(pass_on)
        return answer


class LocalRunner:
    """Runs tasks one after another on all the machine's cores."""

    name = "local"
    restarts = 0
    """There are no workers to lose."""

    def __init__(
        self,
        graph: Graph,
        nodes: Mapping[str, Node[NodeConfig]],
        options: RunOptions,
        *,
        threads: int,
    ) -> None:
        """Set up all nodes.

        Args:
            graph: the dataflow.
            nodes: its nodes, from `pipeline.graph.prepare.prepared`.
            options: run options.
            threads: CPU threads that each node's libraries may use.
        """
        self._pools: dict[str, _LocalPool] = {}
        for entry in graph.nodes:
            node = nodes[entry.name]
            if isinstance(node, PoolNode):
                with naming(entry, NodeSetupError):
                    self._pools[entry.name] = _LocalPool(node, threads, options.max_wait_s)
        clients = cast("Mapping[str, PoolClient]", self._pools)
        self._threads = threads
        self._executor = SegmentExecutor(
            graph,
            nodes,
            clients,
            threads=threads,
            window_frames=options.window_frames,
            window_bytes=FACE_BYTES if options.store_mb is None else options.store_mb * 1_000_000,
            picture_bytes=options.window_mb * 1_000_000,
        )

    def run(self, tasks: Sequence[Task], listener: ProgressListener) -> Iterator[TaskOutcome]:
        """Yield the outcome of each task, in order."""
        for task in tasks:
            try:
                result = task.run(self._executor, lambda at, t=task: listener(t, at))
            except (Exception, SystemExit) as error:  # a plug-in's `sys.exit` is its failure
                log.debug("segment of %s failed", task.source, exc_info=True)
                yield TaskOutcome(task, error=error)
            else:
                yield TaskOutcome(task, result=result)

    def report(self) -> dict[str, Any]:
        """Return the reports and batch statistics of the pools."""
        return {
            "threads": self._threads,
            "pools": {
                name: [pool_report(pool.node, pool.batcher)] for name, pool in self._pools.items()
            },
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for pool in self._pools.values():
            pool.batcher.close()
