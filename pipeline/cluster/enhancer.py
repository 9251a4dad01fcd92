"""The enhancer: an actor that runs a pool node for many segment workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, cast

import ray

from nodes.node import Inputs, Node, NodeConfig, Outputs, PoolNode
from pipeline.cluster.metrics import PoolMetrics, restarts
from pipeline.cluster.shared import Shared
from pipeline.errors import NodeSetupError
from pipeline.graph.graph import GraphNode
from pipeline.graph.naming import naming
from pipeline.run.batcher import Batcher, pool_report

__all__ = ["EnhancerActor"]


class EnhancerActor:
    """An async actor with a pool node and its batcher. Stateless, so that Ray may restart it."""

    def __init__(
        self, entry: GraphNode, node: Shared[Node[NodeConfig]], threads: int, max_wait_s: float
    ) -> None:
        """Set the node up.

        Args:
            entry: the node in its graph.
            node: its instance, prepared.
            threads: CPU threads that its libraries may use.
            max_wait_s: how long a batch waits for more work, s.
        """
        if not ray.get_gpu_ids():
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._node = cast("PoolNode[NodeConfig]", node.get())
        with naming(entry, NodeSetupError):
            self._node.setup(threads)
        self._batcher = Batcher(self._node, max_wait_s=max_wait_s, observer=PoolMetrics(entry.name))
        if ray.get_runtime_context().was_current_actor_reconstructed:
            restarts().inc(tags={"kind": "enhancer"})

    async def process(
        self, block: Sequence[Inputs], caller: str, alone: bool
    ) -> tuple[list[Outputs], float]:
        """Process a block of frames; return the outputs and the seconds of work. Idempotent."""
        shares_s: list[float] = []
        answer = self._batcher.submit(block, caller=caller, alone=alone, spent=shares_s.append)
        return await asyncio.wrap_future(answer), sum(shares_s)

    async def where(self) -> str:
        """Return the Ray id of this machine. Callers also use it to learn that the actor runs."""
        return ray.get_runtime_context().get_node_id()

    async def report(self) -> dict[str, Any]:
        """Return the node's report and batch statistics since the start of the process."""
        context = ray.get_runtime_context()
        return {
            "machine": context.get_node_id(),
            "restarted": context.was_current_actor_reconstructed,
            **pool_report(self._node, self._batcher),
        }
