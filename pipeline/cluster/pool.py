"""The way from a segment worker to a pool of enhancers, which come and go."""

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
from pipeline.sizing.routing import Load, choose

__all__ = ["Member", "RayPoolClient"]

IDLE_FLUSH_S: Final = 0.005
"""A block that is not full leaves after this long without new frames."""

CRASHES: Final = 4
"""How many enhancers may crash on a block before it is given up."""

_Request = tuple[Inputs, Future[Outputs]]


@dataclass(frozen=True, slots=True)
class Member:
    """An enhancer, by a name of its own."""

    name: str
    actor: ActorHandle[EnhancerActor]


@dataclass(slots=True)
class _Peer:
    """What this worker knows of a member."""

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
    """How many members were lost with this block."""

    @property
    def suspect(self) -> bool:
        """Whether this block may be what they are lost to: two in a row are no accident."""
        return self.crashes > 1


class RayPoolClient:
    """Gathers frames into blocks and sends each to a member of the pool.

    Blocks without work are answered on the spot. A block whose member was lost goes to another, or
    waits for one, which the driver makes: the node is stateless, so repeating is safe. A block with
    which members are lost again and again goes alone, then is given up, so that it does no harm to
    other segments.
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
        """Seconds that members have worked on answered blocks."""
        self.caller = ""
        """Whose frames these are, for the statistics."""
        threading.Thread(target=self._send_blocks, name="pool-client", daemon=True).start()

    def use(self, members: Sequence[Member]) -> None:
        """Send to these members from now on; others finish what they have."""
        with self._lock:
            wanted = {member.name: member.actor for member in members}
            for name in self._peers.keys() - wanted.keys():
                del self._peers[name]
            for name in wanted.keys() - self._peers.keys():
                self._peers[name] = _Peer(wanted[name])
                self._ask(name)

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Hand in one frame's packets."""
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
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the segment
                _reject(requests, error)

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
        # A member that is gone for good was ended with its machine, or by the driver.
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
        """Wait, in the background, until a member is there (again)."""
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
"""For each pool node of a graph, its members."""
