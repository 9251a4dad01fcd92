"""The graph on a Ray cluster: segment workers, and a pool of enhancers for each pool node.

Frames never leave the worker that decoded them; only face patches travel. Workers are actors, not
tasks: a task that waits in `ray.get` gives its core away and the machine is over-subscribed.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self, cast

import ray
from ray.exceptions import (
    ActorUnavailableError,
    ActorUnschedulableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from nodes.node import Node, NodeConfig
from pipeline.cluster.fleet import DOUBT_S, Fleet, Worker
from pipeline.cluster.metrics import restarts
from pipeline.cluster.session import Demand, connect, machines
from pipeline.config import RunOptions
from pipeline.errors import ClusterError
from pipeline.graph.graph import Graph
from pipeline.run.contract import Progress
from pipeline.run.task import ProgressListener, Task, TaskOutcome
from pipeline.sizing.sizing import Machine, Sizing, missing, size
from pipeline.sizing.spare import OnCpus, SpareCapacity, Wait

__all__ = ["RayRunner"]

log = logging.getLogger(__name__)

POLL_S: Final = 0.25
"""How often progress is asked for."""

CLUSTER_POLL_S: Final = 1.0
"""How often the cluster is looked at for machines that came or went."""

NO_MACHINE_S: Final = 300.0
"""How long a run without any machine waits for one, before the rest of it fails."""

_WORKER_LOST = (
    ActorUnschedulableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    WorkerCrashedError,
)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A task to do, and the machines on which workers were lost with it."""

    task: Task
    lost_on: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        return len(self.lost_on) + 1

    def lost(self, worker: Worker) -> _Attempt:
        """Return it as one with which that worker was lost."""
        return replace(self, lost_on=(*self.lost_on, worker.machine))

    def blamed(self, machines: Sequence[Machine]) -> int:
        """Return how often it may be to blame: a machine that went took its worker along."""
        alive = {machine.name for machine in machines}
        return sum(name in alive for name in self.lost_on)


@dataclass(slots=True, eq=False)
class _Running:
    worker: Worker
    attempt: _Attempt
    progress: Any = None
    """Ray's promise of it, None while not asked for."""


class RayRunner:
    """Runs segments side by side on a Ray cluster."""

    name = "ray"

    def __init__(
        self,
        graph: Graph,
        nodes: Mapping[str, Node[NodeConfig]],
        options: RunOptions,
        *,
        threads: int,
        segments: int,
    ) -> None:
        """Start or join the cluster and make the actors.

        Args:
            graph: the dataflow.
            nodes: its nodes, as `prepared` makes them.
            options: how to run it.
            threads: cores to give to a cluster started here.
            segments: how many segments there will be.

        Raises:
            ClusterError: the cluster cannot be started or joined.
        """
        self._options = options
        self._started = connect(options.address, threads)
        self._fleet = Fleet(graph, nodes, options)
        self._demand = Demand() if options.address else None
        self._waiting: deque[_Attempt] = deque()
        self._doubtful: list[tuple[_Attempt, TaskOutcome, float]] = []
        self._busy: dict[Any, _Running] = {}
        self._lost = 0
        self._restarts = restarts()
        self._polled_s = 0.0
        self._machine_seen_s = time.monotonic()
        self._machines: list[Machine] = []
        self._spare = SpareCapacity()
        self._wait = Wait()
        self._on_cpus = OnCpus()
        self._largest = Sizing((), None)
        self._fit(segments)

    def run(self, tasks: Sequence[Task], listener: ProgressListener) -> Iterator[TaskOutcome]:
        """Yield each task's outcome as it comes; retry those whose worker died."""
        self._waiting.extend(_Attempt(task) for task in tasks)
        while self._open:
            # In this order: a worker that is there and has nothing to do is ended by the look.
            self._hand_out()
            self._follow_cluster()
            for reply in self._finished():
                outcome = self._completed(reply)
                if outcome is not None:
                    yield outcome
            self._tell(listener)
            yield from self._settled()
            yield from self._without_machine()
            yield from self._without_enhancers()

    @property
    def restarts(self) -> int:
        """How many segment workers were lost and replaced so far."""
        return self._lost

    def report(self) -> dict[str, Any]:
        """Return the cluster's size, the plan, and what each pool member did."""
        return {
            "cluster": {k: v for k, v in ray.cluster_resources().items() if k in {"CPU", "GPU"}},
            "workers": self._largest.workers,
            "workers_lost": self._lost,
            "enhancers": self._largest.enhancers,
            "worker_bytes": self._largest.worker_bytes,
            "placements": [asdict(placement) for placement in self._largest.placements],
            "pools": self._fleet.reports(),
        }

    def release(self) -> None:
        """End every actor made here, which gives their cores and GPUs back to the cluster."""
        if self._demand:
            self._demand.ask([])
        self._fleet.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._started:
            ray.shutdown()
            return
        self.release()

    @property
    def _open(self) -> int:
        return len(self._waiting) + len(self._busy) + len(self._doubtful)

    def _follow_cluster(self) -> None:
        """Follow the cluster: machines come and go, and fewer segments need fewer workers."""
        if time.monotonic() - self._polled_s > CLUSTER_POLL_S:
            self._fit(self._open)

    def _fit(self, segments: int) -> None:
        self._polled_s = time.monotonic()
        self._machines = machines()
        self._leave_lost_machines()
        busy = [running.worker for running in self._busy.values()]
        left = self._machines
        if self._demand:
            left = self._spare.left(left, self._fleet.claims, self._demand.claims)
        self.sizing = size(
            left,
            segments=segments,
            wishes=self._options.wishes,
            busy=Counter(worker.machine for worker in busy),
        )
        notices = [
            self._wait.line(
                self._polled_s, self._machines, has_placement=bool(self.sizing.placements)
            )
        ]
        if self._on_gpus:
            notices.append(self._on_cpus.line(self._machines, left))
        for line in filter(None, notices):
            log.warning("%s", line)
        self._largest = max(self._largest, self.sizing, key=lambda sizing: sizing.workers)
        if self._demand:
            bundles = missing(
                self.sizing,
                segments=segments,
                on_gpus=self._on_gpus,
                wishes=self._options.wishes,
            )
            self._demand.ask(bundles)
        if self._fleet.fit(self.sizing, busy):
            for worker in busy:
                worker.actor.use.remote(self._fleet.pools)

    @property
    def _on_gpus(self) -> bool:
        """Whether the network runs on GPUs where there are free ones."""
        wish = self._options.enhancer_gpus
        return bool(wish) or (wish is None and any(machine.gpus for machine in self._machines))

    def _leave_lost_machines(self) -> None:
        """Take back what lost machines had: Ray may say so late, or never."""
        alive = {machine.name for machine in self._machines}
        for reply, running in list(self._busy.items()):
            if running.worker.machine not in alive:
                del self._busy[reply]
                self._end_lost(running.worker)
                self._try_again(running.attempt.lost(running.worker))

    def _end_lost(self, worker: Worker) -> None:
        self._lost += 1
        self._restarts.inc(tags={"kind": "worker"})
        self._fleet.end(worker)

    def _hand_out(self) -> None:
        # One that waits for room may do so until the end: others are to do its part.
        busy = {running.worker for running in self._busy.values()}
        idle = [worker for worker in self._fleet.workers - busy if worker.settled]
        while self._waiting and idle:
            worker = idle.pop()
            attempt = self._waiting.popleft()
            reply = worker.actor.run.remote(attempt.task, self._fleet.pools)
            self._busy[reply] = _Running(worker, attempt)

    def _finished(self) -> list[Any]:
        awaited = [*self._busy, *(self._fleet.starting if self._waiting else ())]
        if not awaited:
            time.sleep(POLL_S)
            return []
        done, _ = ray.wait(awaited, timeout=POLL_S)
        return [reply for reply in done if reply in self._busy]

    def _completed(self, reply: Any) -> TaskOutcome | None:
        """Return what became of a segment, None if it is to be tried again or in doubt."""
        running = self._busy.pop(reply)
        outcome = _outcome(reply, running.attempt)
        if not isinstance(outcome.error, _WORKER_LOST):
            return outcome
        self._end_lost(running.worker)
        attempt = running.attempt.lost(running.worker)
        self._fit(self._open + 1)
        if attempt.blamed(self._machines) < self._options.attempts:
            self._try_again(attempt)
        else:
            self._doubtful.append((attempt, outcome, time.monotonic()))
        return None

    def _try_again(self, attempt: _Attempt) -> None:
        log.warning("worker lost on %s, trying it again", attempt.task.source)
        self._waiting.append(attempt)

    def _settled(self) -> Iterator[TaskOutcome]:
        """Give up what lost too many workers, once it is sure that no machine was the reason."""
        for case in list(self._doubtful):
            attempt, outcome, since_s = case
            if attempt.blamed(self._machines) < self._options.attempts:
                self._doubtful.remove(case)
                self._try_again(attempt)
            elif time.monotonic() - since_s > DOUBT_S or not _in_doubt(outcome):
                self._doubtful.remove(case)
                yield outcome

    def _without_machine(self) -> Iterator[TaskOutcome]:
        """Give up what waits when there has been no machine for it for long; a full one is one."""
        if self._busy or any(machine.cpus for machine in self._machines):
            self._machine_seen_s = time.monotonic()
        elif time.monotonic() - self._machine_seen_s > NO_MACHINE_S:
            error = ClusterError(
                f"the cluster has had no machine with a core for {NO_MACHINE_S:.0f} s"
            )
            yield from self._given_up(error)

    def _without_enhancers(self) -> Iterator[TaskOutcome]:
        """Give up everything when enhancers never start: what is under way waits for them."""
        error = self._fleet.failure
        if error is None:
            return
        for running in self._busy.values():
            self._fleet.end(running.worker)
            self._waiting.append(running.attempt)
        self._busy.clear()
        yield from self._given_up(error)

    def _given_up(self, error: ClusterError) -> Iterator[TaskOutcome]:
        while self._waiting:
            attempt = self._waiting.popleft()
            yield TaskOutcome(attempt.task, error=error, attempts=attempt.number)

    def _tell(self, listener: ProgressListener) -> None:
        """Pass on the progress that has come, and ask for more; a worker may be slow to answer."""
        pending = {job.progress: job for job in self._busy.values() if job.progress is not None}
        if pending:
            done, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0)
        else:
            done = []
        for reply in done:
            running = pending[reply]
            running.progress = None
            try:
                listener(running.attempt.task, cast("Progress", ray.get(reply)))
            except RayError:
                continue  # a worker that is gone has nothing to tell; `run` notices
        for running in self._busy.values():
            if running.progress is None:
                running.progress = running.worker.actor.progress.remote()


def _outcome(reply: Any, attempt: _Attempt) -> TaskOutcome:
    try:
        return TaskOutcome(attempt.task, result=ray.get(reply), attempts=attempt.number)
    except RayTaskError as error:
        # What the segment itself raised, without Ray's wrapping.
        return TaskOutcome(attempt.task, error=error.cause, attempts=attempt.number)
    except _WORKER_LOST as error:
        return TaskOutcome(attempt.task, error=error, attempts=attempt.number)


def _in_doubt(outcome: TaskOutcome) -> bool:
    """Say whether Ray may not have noticed yet that the worker's machine is gone."""
    return isinstance(outcome.error, ActorUnavailableError | ActorUnschedulableError)
