"""The client of a segment worker for a pool of enhancers, whose members may change."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError

from nodes.node import Inputs, NodeConfig, Outputs, PoolNode
from pipeline.cluster.enhancer import EnhancerActor
from pipeline.errors import RunFailedError
from pipeline.run.batcher import as_exception
from pipeline.sizing.routing import Load, choose

__all__ = ["Member", "RayPoolClient"]

IDLE_FLUSH_S: Final = 0.005
"""An incomplete block is sent after this time without new frames, s."""

CRASHES: Final = 4
"""How many enhancers may crash with a block before it fails."""

_Request = tuple[Inputs, Future[Outputs]]


@dataclass(frozen=True, slots=True)
class Member:
    """An enhancer with a unique name."""

    name: str
    actor: ActorHandle[EnhancerActor]


@dataclass(slots=True)
class _Peer:
    """The state of a member as seen by this worker."""

    actor: ActorHandle[EnhancerActor]
    under_way: int = 0
    near: bool = False
    answering: bool = False

    @property
    def load(self) -> Load:
        return Load(self.under_way, self.near, self.answering)


@dataclass(slots=True)
class _Block:
    requests: Sequence[_Request]
    crashes: int = 0
    """How many members were lost while they processed this block."""

    @property
    def suspect(self) -> bool:
        """Whether this block may be the cause."""
        return self.crashes > 1


class RayPoolClient:
    """Collects frames into blocks and sends each block to a member of the pool.

    Blocks without work are processed here. If a member is lost, its blocks are sent to another one,
    or wait for one to be started; this is safe because the node is stateless. A block with which
    several members were lost is run in batches of its own, and finally fails, so that it does not
    affect other segments.
    """

    def __init__(self, node: PoolNode[NodeConfig], block_frames: int) -> None:
        self._node = node
        self._block_frames = block_frames
        self._here = ray.get_runtime_context().get_node_id()
        self._peers: dict[str, _Peer] = {}
        self._parked: list[_Block] = []
        self._lock = threading.RLock()
        self._queue: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self.busy_s = 0.0
        """Time that members have spent on finished blocks, s."""
        self.caller = ""
        """Name of the source, for the statistics."""
        threading.Thread(target=self._send_blocks, name="pool-client", daemon=True).start()

    def use(self, members: Sequence[Member]) -> None:
        """Send to these members from now on; others finish their blocks."""
        with self._lock:
            wanted = {member.name: member.actor for member in members}
            for name in self._peers.keys() - wanted.keys():
                del self._peers[name]
            for name in wanted.keys() - self._peers.keys():
                self._peers[name] = _Peer(wanted[name])
                self._ask(name)

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Submit the packets of one frame."""
        answer: Future[Outputs] = Future()
        self._queue.put((inputs, answer))
        return answer

    def _send_blocks(self) -> None:
        while True:
            requests = [self._queue.get()]
            while len(requests) < self._block_frames:
                try:
                    requests.append(self._queue.get(timeout=IDLE_FLUSH_S))
                except queue.Empty:
                    break
            try:
                self._handle(requests)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the segment
                _reject(requests, as_exception(error))

    def _handle(self, requests: Sequence[_Request]) -> None:
        packets = [inputs for inputs, _ in requests]
        if any(map(self._node.weight, packets)):
            self._send(_Block(requests))
        else:
            _resolve(requests, self._node.process_batch(packets))

    def _send(self, block: _Block) -> None:
        with self._lock:
            names = list(self._peers)
            index = choose([peer.load for peer in self._peers.values()])
            if index is None:
                self._parked.append(block)
                return
            peer = self._peers[names[index]]
            peer.under_way += 1
        packets = [inputs for inputs, _ in block.requests]
        try:
            reply = peer.actor.process.remote(packets, self.caller, block.suspect)
        except Exception as error:  # noqa: BLE001 - packets that cannot travel, say
            with self._lock:
                peer.under_way -= 1
            _reject(block.requests, error)
            return
        _when_done(reply, partial(self._receive, block, names[index], peer))

    def _receive(
        self, block: _Block, name: str, peer: _Peer, done: Future[tuple[list[Outputs], float]]
    ) -> None:
        with self._lock:
            peer.under_way -= 1
        error = done.exception()
        if error is None:
            answers, spent_s = done.result()
            with self._lock:
                self.busy_s += spent_s
            _resolve(block.requests, answers)
        elif not isinstance(error, RayActorError):
            # What the node itself raised, without Ray's wrapping.
            _reject(block.requests, error.cause if isinstance(error, RayTaskError) else error)
        else:
            self._lost(block, name, error)

    def _lost(self, block: _Block, name: str, error: RayActorError) -> None:
        # Other errors mean that the member was ended with its machine or by the driver.
        block.crashes += isinstance(error, ActorUnavailableError)
        with self._lock:
            peer = self._peers.get(name)
            if peer is not None and peer.answering:
                peer.answering = False
                self._ask(name)
        if block.crashes < CRASHES:
            self._send(block)
            return
        times = [inputs.pts for inputs, _ in block.requests]
        _reject(
            block.requests,
            RunFailedError(
                f"the frames from pts {times[0]} to {times[-1]} crashed {CRASHES} enhancers"
            ),
        )

    def _ask(self, name: str) -> None:
        """Wait in the background until a member has (re)started."""
        actor = self._peers[name].actor
        reply = actor.where.options(max_task_retries=-1).remote()
        _when_done(reply, partial(self._answered, name))

    def _answered(self, name: str, done: Future[str]) -> None:
        error = done.exception()
        with self._lock:
            peer = self._peers.get(name)
            if peer is None:
                return
            if error is None:
                peer.answering, peer.near = True, done.result() == self._here
            else:
                del self._peers[name]
            parked, self._parked = self._parked, []
        for block in parked:
            self._send(block)


def _when_done(reply: Any, then: Callable[[Any], None]) -> None:
    cast("Future[Any]", reply.future()).add_done_callback(then)


def _resolve(requests: Sequence[_Request], answers: Sequence[Outputs]) -> None:
    for (_, answer), outputs in zip(requests, answers, strict=True):
        answer.set_result(outputs)


def _reject(requests: Sequence[_Request], error: BaseException) -> None:
    for _, answer in requests:
        answer.set_exception(error)


Pools = Mapping[str, Sequence[Member]]
"""The members of each pool node, by its name."""
