"""The actors of a run, adapted to a cluster that grows, shrinks and loses machines."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from itertools import chain
from typing import Any
from uuid import uuid4

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nodes.node import Node, NodeConfig, PoolNode
from pipeline.cluster.enhancer import EnhancerActor
from pipeline.cluster.pool import Member, Pools
from pipeline.cluster.shared import Shared, share
from pipeline.cluster.worker import SegmentWorker
from pipeline.config import RunOptions
from pipeline.errors import ClusterError
from pipeline.graph.graph import Graph, GraphNode
from pipeline.sizing.sizing import Placement, Sizing, claim
from pipeline.sizing.spare import Claims

__all__ = ["DOUBT_S", "RESTARTS", "Fleet", "Worker"]

log = logging.getLogger(__name__)

REPORT_S = 30.0
"""Timeout for an enhancer's report, s."""

PLACED_S = 5.0
"""Timeout for an actor to be placed before it is killed, s; see `_end`."""

RESTARTS = 5
"""How often Ray restarts an enhancer; after that it is replaced, if it ever worked."""

DOUBT_S = 45.0
"""How long a cluster may take to notice that a machine is lost, s."""


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A segment worker and its machine."""

    actor: ActorHandle[SegmentWorker]
    machine: str
    claims: Claims
    """The resources that it claims."""
    first_answer: Any
    """Ray reference to its first answer, which is pending until the worker has started."""

    @property
    def settled(self) -> bool:
        """Whether it has started or failed."""
        return bool(ray.wait([self.first_answer], timeout=0)[0])


@dataclass(slots=True, eq=False)
class _Enhancer:
    member: Member
    machine: str
    claims: Claims
    """The resources that it claims."""
    answer: Any
    """Ray reference to its machine's id, which stays pending over restarts."""
    lived: bool = False
    """Whether it ever answered."""
    lost: RayError | None = None
    """The error with which it was lost for good."""
    lost_s: float = 0.0
    """When that was noticed, by `time.monotonic`."""

    def poll(self) -> bool:
        """Check whether it has answered; return whether it is newly lost."""
        if self.lost is not None or not ray.wait([self.answer], timeout=0)[0]:
            return False
        try:
            ray.get(self.answer)
        except RayError as error:
            self.lost, self.lost_s = error, time.monotonic()
            return True
        self.lived, self.answer = True, _ask(self.member.actor)
        return False

    @property
    def never_starts(self) -> bool:
        """Whether it was lost before its first answer, and not together with its machine."""
        if self.lived or self.lost is None:
            return False
        raised = isinstance(self.lost, RayActorError) and self.lost.actor_init_failed
        return raised or time.monotonic() - self.lost_s > DOUBT_S


@dataclass(slots=True)
class Fleet:
    """Starts and ends actors according to a sizing. Workers with a segment finish it first."""

    graph: Graph
    nodes: InitVar[Mapping[str, Node[NodeConfig]]]
    """Its nodes, from `pipeline.graph.prepare.prepared`."""
    options: RunOptions
    workers: set[Worker] = field(default_factory=set[Worker])
    _prepared_pools: dict[str, Shared[Node[NodeConfig]]] = field(init=False)
    """The prepared pool nodes; each machine fetches them once."""
    _prepared_others: Shared[dict[str, Node[NodeConfig]]] = field(init=False)
    """The other prepared nodes."""
    _enhancers: dict[str, list[_Enhancer]] = field(default_factory=dict[str, list[_Enhancer]])
    _retired: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )

    def __post_init__(self, nodes: Mapping[str, Node[NodeConfig]]) -> None:
        others = dict(nodes)
        self._prepared_pools = {
            entry.name: share(others.pop(entry.name)) for entry in _pool_nodes(self.graph)
        }
        self._prepared_others = share(others)

    @property
    def pools(self) -> Pools:
        """The enhancers of each pool node that are not lost."""
        return {
            name: [enhancer.member for enhancer in members if enhancer.lost is None]
            for name, members in self._enhancers.items()
        }

    @property
    def starting(self) -> list[Any]:
        """Ray references of the workers that have not started yet."""
        return [worker.first_answer for worker in self.workers if not worker.settled]

    @property
    def failure(self) -> ClusterError | None:
        """The error if no member of a pool can be started, else None."""
        for name, members in self._enhancers.items():
            if members and all(enhancer.never_starts for enhancer in members):
                return _never_starts(name, members[0].lost)
        return None

    @property
    def claims(self) -> Mapping[str, Claims]:
        """The resources of actors that have started, by machine."""
        enhancers = chain.from_iterable(self._enhancers.values())
        there: list[Worker | _Enhancer] = [
            *(worker for worker in self.workers if worker.settled),
            *(enhancer for enhancer in enhancers if enhancer.lived),
        ]
        claims = dict.fromkeys((actor.machine for actor in there), Claims())
        for actor in there:
            claims[actor.machine] += actor.claims
        return claims

    def fit(self, sizing: Sizing, busy: Iterable[Worker]) -> bool:
        """Start missing actors and end surplus ones.

        Args:
            sizing: the actors wanted on each machine.
            busy: workers that have a segment and are kept.

        Returns:
            Whether the enhancers changed.
        """
        busy = set(busy)
        wanted = Counter({placement.machine: placement.workers for placement in sizing.placements})
        have = Counter(worker.machine for worker in self.workers)
        surplus: list[Worker] = []
        for worker in sorted(self.workers - busy, key=lambda worker: worker.settled):
            if have[worker.machine] > wanted[worker.machine]:
                have[worker.machine] -= 1
                surplus.append(worker)
        self.end(*surplus)
        # Enhancers first, because workers are useless without them.
        changes = [self._fit_pool(entry, sizing) for entry in _pool_nodes(self.graph)]
        for placement in sizing.placements:
            for _ in range(placement.workers - have[placement.machine]):
                self._start_worker(placement, sizing.worker_bytes)
        return any(changes)

    def end(self, *workers: Worker) -> None:
        """End workers; they may have died already."""
        self.workers.difference_update(workers)
        _end([(worker.actor, worker.first_answer) for worker in workers])

    def reports(self) -> dict[str, list[dict[str, Any]]]:
        """Return the reports of all pool members, including those that were ended earlier."""
        return {
            name: [*self._retired.get(name, ()), *_reports_of(members)]
            for name, members in self._enhancers.items()
        }

    def close(self) -> None:
        """End all actors, which frees their cores and GPUs."""
        enhancers = chain.from_iterable(self._enhancers.values())
        _end(
            [
                *((worker.actor, worker.first_answer) for worker in self.workers),
                *((enhancer.member.actor, enhancer.answer) for enhancer in enhancers),
            ]
        )
        self.workers.clear()
        self._enhancers.clear()

    def _fit_pool(self, entry: GraphNode, sizing: Sizing) -> bool:
        members = self._enhancers.setdefault(entry.name, [])
        lost = [enhancer for enhancer in members if enhancer.poll()]
        for enhancer in lost:
            log.warning("an enhancer of node %r was lost", entry.name)
            log.debug("%s", enhancer.lost)
            if enhancer.lived:  # one that never started would not start the next time
                members.remove(enhancer)
        missing = Counter(
            {placement.machine: placement.enhancers for placement in sizing.placements}
        )
        surplus: list[_Enhancer] = []
        stand_ins = _stand_ins(entry, members, sizing)
        if any(enhancer.lived and enhancer.claims.gpus for enhancer in members):
            surplus += stand_ins
        for enhancer in members:
            if enhancer in stand_ins:
                continue
            missing[enhancer.machine] -= 1
            if missing[enhancer.machine] < 0:
                surplus.append(enhancer)
        for enhancer in surplus:
            members.remove(enhancer)
            self._retired.setdefault(entry.name, []).extend(_reports_of([enhancer]))
        _end([(enhancer.member.actor, enhancer.answer) for enhancer in surplus])
        started = [
            placement for placement in sizing.placements for _ in range(missing[placement.machine])
        ]
        for placement in started:
            members.append(self._start_enhancer(entry, placement))
        return bool(lost or surplus or started)

    def _claim(self, placement: Placement, wanted: float) -> float:
        everyone = (*self.workers, *chain.from_iterable(self._enhancers.values()))
        claimed = sum(actor.claims.cpus for actor in everyone if actor.machine == placement.machine)
        return claim(wanted, cpus=placement.cpus, claimed=claimed)

    def _start_worker(self, placement: Placement, window_bytes: int | None) -> None:
        cpus = self._claim(placement, placement.worker_cpus)
        # One call for the segment, one for its progress, one for changed pools.
        actor = ray.remote(SegmentWorker).options(
            num_cpus=cpus, max_concurrency=3, scheduling_strategy=_on(placement)
        )
        handle: Any = actor.remote(
            self.graph, self._prepared_others, self.options, placement.worker_threads, window_bytes
        )
        self.workers.add(Worker(handle, placement.machine, Claims(cpus), handle.progress.remote()))

    def _start_enhancer(self, entry: GraphNode, placement: Placement) -> _Enhancer:
        cpus = self._claim(placement, placement.enhancer_cpus)
        gpus = placement.enhancer_gpus if entry.spec.gpu else 0.0
        actor = ray.remote(EnhancerActor).options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_restarts=RESTARTS,
            max_concurrency=1000,
            scheduling_strategy=_on(placement),
        )
        node = self._prepared_pools[entry.name]
        handle: Any = actor.remote(entry, node, placement.enhancer_threads, self.options.max_wait_s)
        member = Member(uuid4().hex, handle)
        return _Enhancer(member, placement.machine, Claims(cpus, gpus), _ask(handle))


def _stand_ins(entry: GraphNode, members: Sequence[_Enhancer], sizing: Sizing) -> list[_Enhancer]:
    """Return enhancers on CPUs that are to be replaced by ones on GPUs, which are free now."""
    on_gpus = entry.spec.gpu and any(placement.enhancer_gpus for placement in sizing.placements)
    return [enhancer for enhancer in members if on_gpus and not enhancer.claims.gpus]


def _pool_nodes(graph: Graph) -> Iterator[GraphNode]:
    return (entry for entry in graph.nodes if issubclass(entry.node_class, PoolNode))


def _on(placement: Placement) -> NodeAffinitySchedulingStrategy:
    """Require a machine: an actor that cannot be placed there is replaced by one elsewhere."""
    return NodeAffinitySchedulingStrategy(placement.machine, soft=False)


def _end(actors: Sequence[tuple[ActorHandle[Any], Any]]) -> None:
    """End actors, given with a Ray reference to an answer of each.

    If an actor is killed while it is being placed, its resources stay allocated until the driver
    ends (Ray 2.60 keeps the lease), so new actors are waited for.
    """
    answers = [answer for _, answer in actors]
    if answers:
        ray.wait(answers, num_returns=len(answers), timeout=PLACED_S)
    for actor, _ in actors:
        ray.kill(actor)


def _ask(actor: ActorHandle[EnhancerActor]) -> Any:
    return actor.where.options(max_task_retries=-1).remote()


def _never_starts(name: str, lost: RayError | None) -> ClusterError:
    if isinstance(lost, RayActorError) and lost.actor_init_failed:
        reason = str(lost).strip().rpartition("\n")[2]  # before are the lines of the program
        return ClusterError(f"the enhancers of node {name!r} failed as they started: {reason}")
    return ClusterError(
        f"the enhancers of node {name!r} were killed {RESTARTS + 1} times in a row as they started;"
        " a machine without the memory for them does that; --runner local shows more"
    )


def _reports_of(enhancers: Iterable[_Enhancer]) -> list[dict[str, Any]]:
    """Return the reports of the enhancers that answer."""
    replies: list[Any] = []
    for enhancer in enhancers:
        enhancer.poll()
        if enhancer.lived and enhancer.lost is None:
            replies.append(enhancer.member.actor.report.remote())
    ready, _ = (
        ray.wait(replies, num_returns=len(replies), timeout=REPORT_S) if replies else ([], [])
    )
    reports: list[dict[str, Any]] = []
    for reply in ready:
        try:
            reports.append(ray.get(reply))
        except RayError:
            log.debug("an enhancer was lost before it could say what it did")
    return reports
