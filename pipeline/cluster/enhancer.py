"""A member of a pool: the actor that runs one pool node for many segment workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, cast

import ray

from nodes.node import Inputs, Node, NodeConfig, Outputs, PoolNode
from pipeline.cluster.metrics import PoolMetrics, restarts
from pipeline.cluster.shared import Shared
from pipeline.run.batcher import Batcher, pool_report

__all__ = ["EnhancerActor"]


class EnhancerActor:
    """An async actor around one pool node and its batcher. Stateless: Ray may restart it."""

    def __init__(
        self, name: str, node: Shared[Node[NodeConfig]], threads: int, max_wait_s: float
    ) -> None:
        """Set the node up.

        Args:
            name: of the node in its graph.
            node: prepared.
            threads: CPU threads its libraries may use.
            max_wait_s: how long a batch may wait for more.
        """
        if not ray.get_gpu_ids():
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._node = cast("PoolNode[NodeConfig]", node.get())
        self._node.setup(threads)
        self._batcher = Batcher(self._node, max_wait_s=max_wait_s, observer=PoolMetrics(name))
        if ray.get_runtime_context().was_current_actor_reconstructed:
            restarts().inc(tags={"kind": "enhancer"})

    async def process(
        self, block: Sequence[Inputs], caller: str, alone: bool
    ) -> tuple[list[Outputs], float]:
        """Return the answers to a block of frames' packets, and the seconds of work in them.

        Safe to repeat.
        """
        shares_s: list[float] = []
        answer = self._batcher.submit(block, caller=caller, alone=alone, spent=shares_s.append)
        return await asyncio.wrap_future(answer), sum(shares_s)

    async def where(self) -> str:
        """Return the machine this runs on, by Ray's id. An answer says that it is there."""
        return ray.get_runtime_context().get_node_id()

    async def report(self) -> dict[str, Any]:
        """Return the node's report and its batches, since the process began."""
        context = ray.get_runtime_context()
        return {
            "machine": context.get_node_id(),
            "restarted": context.was_current_actor_reconstructed,
            **pool_report(self._node, self._batcher),
        }
