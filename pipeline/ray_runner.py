"""The graph on a Ray cluster: segment workers, and a pool of enhancers for each pool node.

Frames never leave the worker that decoded them; only face patches travel. Workers are actors, not
tasks: a task that waits in `ray.get` gives its core away and the machine is over-subscribed.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Self, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nodes.node import NodeConfig, PoolNode, Segment
from pipeline.config import RunOptions
from pipeline.executor import SegmentExecutor
from pipeline.graph import Graph, GraphNode
from pipeline.ray_cluster import connect, machines
from pipeline.ray_enhancer import EnhancerActor, RayPoolClient
from pipeline.runner import Progress, ProgressListener, SegmentOutcome, SegmentResult
from pipeline.sizing import Place, size
from pipeline.staging import run_segment

__all__ = ["RayRunner"]

log = logging.getLogger(__name__)

POLL_S: Final = 0.25
_WORKER_LOST = (RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError)

_Pools = Mapping[str, Sequence[ActorHandle[EnhancerActor]]]


class SegmentWorker:
    """An actor that takes one segment at a time through the graph."""

    def __init__(self, graph: Graph, pools: _Pools, threads: int, options: RunOptions) -> None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        clients = {
            entry.name: RayPoolClient(
                cast("PoolNode[NodeConfig]", entry.make()), pools[entry.name], options.block_frames
            )
            for entry in graph.nodes
            if entry.name in pools
        }
        self._options = options
        self._progress = Progress()
        self._executor = SegmentExecutor(
            graph, clients, threads=threads, window_frames=options.window_frames
        )

    def run(self, segment: Segment) -> SegmentResult:
        """Run one segment; what it made is kept when this returns."""
        self._progress = Progress()
        return run_segment(self._executor, segment, self._note, self._options)

    def progress(self) -> Progress:
        """Return how far the segment under way has come. Called while `run` runs."""
        return self._progress

    def _note(self, progress: Progress) -> None:
        self._progress = progress


class RayRunner:
    """Runs segments side by side on a Ray cluster."""

    name = "ray"

    def __init__(self, graph: Graph, options: RunOptions, *, threads: int, segments: int) -> None:
        """Start or join the cluster and make the enhancers.

        Args:
            graph: the dataflow.
            options: how to run it.
            threads: cores to give to a cluster started here.
            segments: how many segments there will be.

        Raises:
            ClusterError: the cluster cannot be started or joined.
        """
        self._graph = graph
        self._options = options
        self._started = connect(options.address, threads)
        self.sizing = size(machines(), segments=segments, wishes=options.wishes)
        self._actors: list[ActorHandle[Any]] = []
        self._pools: _Pools = {
            entry.name: [
                self._make_enhancer(entry, place)
                for place in self.sizing.places
                for _ in range(place.enhancers)
            ]
            for entry in graph.nodes
            if issubclass(entry.node_class, PoolNode)
        }

    def run(
        self, segments: Sequence[Segment], listener: ProgressListener
    ) -> Iterator[SegmentOutcome]:
        """Yield each segment's outcome as it comes; retry those whose worker died."""
        waiting = deque((segment, 1) for segment in segments)
        idle = [
            (self._make_worker(place), place)
            for place in self.sizing.places
            for _ in range(place.workers)
        ]
        busy: dict[Any, tuple[ActorHandle[SegmentWorker], Place, Segment, int]] = {}
        while waiting or busy:
            while waiting and idle:
                worker, place = idle.pop()
                segment, attempt = waiting.popleft()
                busy[worker.run.remote(segment)] = (worker, place, segment, attempt)
            done, _ = ray.wait(list(busy), timeout=POLL_S)
            for reply in done:
                worker, place, segment, attempt = busy.pop(reply)
                outcome = _outcome(reply, segment, attempt)
                if isinstance(outcome.error, _WORKER_LOST):
                    worker = self._make_worker(place)
                    if attempt < self._options.attempts:
                        log.warning("worker lost on %s, trying it again", segment.input)
                        waiting.append((segment, attempt + 1))
                        idle.append((worker, place))
                        continue
                idle.append((worker, place))
                yield outcome
            _tell(busy, listener)

    def report(self) -> dict[str, Any]:
        """Return the cluster's size, the plan, and what each pool member did."""
        pools: dict[str, list[dict[str, Any]]] = {}
        for name, members in self._pools.items():
            try:
                pools[name] = ray.get([member.report.remote() for member in members], timeout=30)
            except (RayActorError, TimeoutError):
                pools[name] = []
        return {
            "cluster": {k: v for k, v in ray.cluster_resources().items() if k in {"CPU", "GPU"}},
            "workers": self.sizing.workers,
            "enhancers": self.sizing.enhancers,
            "places": [asdict(place) for place in self.sizing.places],
            "pools": pools,
        }

    def release(self) -> None:
        """End every actor made here, which gives their cores and GPUs back to the cluster."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._started:
            ray.shutdown()
            return
        self.release()

    def _make_enhancer(self, entry: GraphNode, place: Place) -> ActorHandle[EnhancerActor]:
        actor = ray.remote(EnhancerActor).options(
            num_cpus=place.enhancer_cpus,
            num_gpus=place.enhancer_gpus,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=1000,
            scheduling_strategy=_on(place),
        )
        return self._keep(actor.remote(entry, place.enhancer_threads, self._options.max_wait_s))

    def _make_worker(self, place: Place) -> ActorHandle[SegmentWorker]:
        # One call for the segment and one for its progress.
        actor = ray.remote(SegmentWorker).options(
            num_cpus=place.worker_cpus, max_concurrency=2, scheduling_strategy=_on(place)
        )
        return self._keep(
            actor.remote(self._graph, self._pools, place.worker_threads, self._options)
        )

    def _keep(self, actor: Any) -> Any:
        self._actors.append(actor)
        return actor


def _on(place: Place) -> NodeAffinitySchedulingStrategy:
    """Ask for a machine; another one will do when that one is gone."""
    return NodeAffinitySchedulingStrategy(place.machine, soft=True)


def _outcome(reply: Any, segment: Segment, attempt: int) -> SegmentOutcome:
    try:
        return SegmentOutcome(segment, result=ray.get(reply), attempts=attempt)
    except RayTaskError as error:
        # What the segment itself raised, without Ray's wrapping.
        return SegmentOutcome(segment, error=error.cause, attempts=attempt)
    except _WORKER_LOST as error:
        return SegmentOutcome(segment, error=error, attempts=attempt)


def _tell(
    busy: Mapping[Any, tuple[ActorHandle[SegmentWorker], Place, Segment, int]],
    listener: ProgressListener,
) -> None:
    for worker, _, segment, _ in busy.values():
        try:
            reply = worker.progress.remote()
            listener(segment, cast("Progress", ray.get(reply, timeout=POLL_S)))
        except (*_WORKER_LOST, TimeoutError):
            continue  # a worker that is starting or gone has nothing to tell; `run` notices
