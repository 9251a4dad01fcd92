"""The actors of a run, kept in step with a cluster that grows, shrinks and loses machines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nodes.node import PoolNode
from pipeline.config import RunOptions
from pipeline.graph import Graph, GraphNode
from pipeline.ray_enhancer import EnhancerActor
from pipeline.ray_pool import Member, Pools
from pipeline.ray_worker import SegmentWorker
from pipeline.sizing import Place, Sizing

__all__ = ["Fleet", "Worker"]

log = logging.getLogger(__name__)

REPORT_S = 30.0
"""How long an enhancer may take to say what it did."""


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A segment worker and where it is."""

    actor: ActorHandle[SegmentWorker]
    machine: str


@dataclass(frozen=True, slots=True, eq=False)
class _Enhancer:
    member: Member
    machine: str


@dataclass(slots=True)
class Fleet:
    """Starts and ends actors as a sizing says. Workers that have work are left to finish it."""

    graph: Graph
    options: RunOptions
    workers: set[Worker] = field(default_factory=set[Worker])
    _enhancers: dict[str, list[_Enhancer]] = field(default_factory=dict[str, list[_Enhancer]])
    _retired: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )

    @property
    def pools(self) -> Pools:
        """The enhancers to send to, for each pool node."""
        return {
            name: [enhancer.member for enhancer in members]
            for name, members in self._enhancers.items()
        }

    def fit(self, sizing: Sizing, busy: Iterable[Worker]) -> bool:
        """Start what is missing and end what is too much.

        Args:
            sizing: what is wanted where.
            busy: workers that have a segment; they stay.

        Returns:
            Whether the enhancers changed.
        """
        busy = set(busy)
        wanted = Counter({place.machine: place.workers for place in sizing.places})
        have = Counter(worker.machine for worker in self.workers)
        for worker in self.workers - busy:
            if have[worker.machine] > wanted[worker.machine]:
                have[worker.machine] -= 1
                self.end(worker)
        for place in sizing.places:
            for _ in range(place.workers - have[place.machine]):
                self._start_worker(place, sizing.worker_bytes)
        changes = [self._fit_pool(entry, sizing) for entry in _pool_nodes(self.graph)]
        return any(changes)

    def end(self, worker: Worker) -> None:
        """End a worker, which may be dead already."""
        self.workers.discard(worker)
        ray.kill(worker.actor)

    def reports(self) -> dict[str, list[dict[str, Any]]]:
        """Return what each member of each pool did, also those that were ended on the way."""
        return {
            name: [*self._retired.get(name, ()), *_reports_of(members)]
            for name, members in self._enhancers.items()
        }

    def close(self) -> None:
        """End every actor, which gives their cores and GPUs back to the cluster."""
        for worker in list(self.workers):
            self.end(worker)
        for members in self._enhancers.values():
            for enhancer in members:
                ray.kill(enhancer.member.actor)
        self._enhancers.clear()

    def _fit_pool(self, entry: GraphNode, sizing: Sizing) -> bool:
        members = self._enhancers.setdefault(entry.name, [])
        missing = Counter({place.machine: place.enhancers for place in sizing.places})
        surplus: list[_Enhancer] = []
        for enhancer in members:
            missing[enhancer.machine] -= 1
            if missing[enhancer.machine] < 0:
                surplus.append(enhancer)
        for enhancer in surplus:
            members.remove(enhancer)
            self._retired.setdefault(entry.name, []).extend(_reports_of([enhancer]))
            ray.kill(enhancer.member.actor)
        started = [
            self._start_enhancer(entry, place)
            for place in sizing.places
            for _ in range(missing[place.machine])
        ]
        members += started
        return bool(surplus or started)

    def _start_worker(self, place: Place, window_bytes: int | None) -> None:
        # One call for the segment, one for its progress, one for changed pools.
        actor = ray.remote(SegmentWorker).options(
            num_cpus=place.worker_cpus, max_concurrency=3, scheduling_strategy=_on(place)
        )
        handle: Any = actor.remote(self.graph, self.options, place.worker_threads, window_bytes)
        self.workers.add(Worker(handle, place.machine))

    def _start_enhancer(self, entry: GraphNode, place: Place) -> _Enhancer:
        actor = ray.remote(EnhancerActor).options(
            num_cpus=place.enhancer_cpus,
            num_gpus=place.enhancer_gpus if entry.spec.gpu else 0,
            max_restarts=-1,
            max_concurrency=1000,
            scheduling_strategy=_on(place),
        )
        handle: Any = actor.remote(entry, place.enhancer_threads, self.options.max_wait_s)
        return _Enhancer(Member(uuid4().hex, handle), place.machine)


def _pool_nodes(graph: Graph) -> Iterator[GraphNode]:
    return (entry for entry in graph.nodes if issubclass(entry.node_class, PoolNode))


def _on(place: Place) -> NodeAffinitySchedulingStrategy:
    """Ask for a machine; without it the actor is of no use, and another one is made elsewhere."""
    return NodeAffinitySchedulingStrategy(place.machine, soft=False)


def _reports_of(enhancers: Iterable[_Enhancer]) -> list[dict[str, Any]]:
    """Return what those say that still can."""
    replies: list[Any] = [enhancer.member.actor.report.remote() for enhancer in enhancers]
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
