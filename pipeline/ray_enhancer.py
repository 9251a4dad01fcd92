"""Ray's side of a pool node: the actor that runs it, and the way to a pool of them."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final, cast

import ray
from ray.actor import ActorHandle

from nodes.node import Inputs, NodeConfig, Outputs, PoolNode
from pipeline.batcher import Batcher
from pipeline.graph import GraphNode
from pipeline.local_runner import pool_report

__all__ = ["EnhancerActor", "RayPoolClient"]

IDLE_FLUSH_S: Final = 0.005
"""A block that is not full leaves after this long without new frames."""

_Item = tuple[Inputs, Future[Outputs]]


class EnhancerActor:
    """One member of a pool: an async actor around one pool node and its batcher."""

    def __init__(self, entry: GraphNode, threads: int, max_wait_s: float) -> None:
        if not ray.get_gpu_ids():
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._node = cast("PoolNode[NodeConfig]", entry.make())
        self._node.prepare_node()
        self._node.setup(threads)
        self._batcher = Batcher(self._node, max_wait_s=max_wait_s)

    async def process(self, block: Sequence[Inputs]) -> list[Outputs]:
        """Return the answers to a block of frames' packets; safe to repeat."""
        return await asyncio.wrap_future(self._batcher.submit(block))

    async def report(self) -> dict[str, Any]:
        """Return the node's report and its batches."""
        return pool_report(self._node, self._batcher)


class RayPoolClient:
    """Gathers frames into blocks and sends each to the pool member with the fewest under way.

    Blocks without work are answered on the spot. A block whose actor died is sent again by Ray,
    which restarts the actor: the node is stateless, so repeating is safe.
    """

    def __init__(
        self,
        node: PoolNode[NodeConfig],
        pool: Sequence[ActorHandle[EnhancerActor]],
        block_frames: int,
    ) -> None:
        self._node = node
        self._pool = pool
        self._block_frames = block_frames
        self._under_way = [0] * len(pool)
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        threading.Thread(target=self._send_blocks, name="pool-client", daemon=True).start()

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Hand in one frame's packets."""
        answer: Future[Outputs] = Future()
        self._queue.put((inputs, answer))
        return answer

    def _send_blocks(self) -> None:
        while True:
            block = [self._queue.get()]
            while len(block) < self._block_frames:
                try:
                    block.append(self._queue.get(timeout=IDLE_FLUSH_S))
                except queue.Empty:
                    break
            self._send(block)

    def _send(self, block: list[_Item]) -> None:
        packets = [inputs for inputs, _ in block]
        if not any(map(self._node.weight, packets)):
            _resolve(block, self._node.process_batch(packets))
            return
        with self._lock:
            member = self._under_way.index(min(self._under_way))
            self._under_way[member] += 1
        reply = cast("Future[list[Outputs]]", self._pool[member].process.remote(packets).future())
        reply.add_done_callback(lambda done: self._receive(block, member, done))

    def _receive(self, block: list[_Item], member: int, done: Future[list[Outputs]]) -> None:
        with self._lock:
            self._under_way[member] -= 1
        error = done.exception()
        if error is None:
            _resolve(block, done.result())
            return
        for _, answer in block:
            answer.set_exception(error)


def _resolve(block: Sequence[_Item], answers: Sequence[Outputs]) -> None:
    for (_, answer), outputs in zip(block, answers, strict=True):
        answer.set_result(outputs)
