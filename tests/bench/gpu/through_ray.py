"""The product's enhancer actors behind Ray, fed by several processes at once."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

from nodes.enhance import Enhance, EnhanceConfig
from nodes.node import Outputs
from pipeline.graph.graph import GraphNode
from tests.bench.gpu.enhancer import enhancer, frames
from tests.bench.gpu.plan import FACES_A_FRAME, Plan, attempt

__all__ = ["measure_through_ray"]


def measure_through_ray(plan: Plan, bare: dict[str, dict[int, float]]) -> None:
    """Start Ray on this machine and compare with the bare loop's faces a second."""
    import ray

    started = time.perf_counter()
    of_gpu = int(plan.device.type == "cuda")
    ray.init(
        address="local",
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=of_gpu,
        include_dashboard=False,
        log_to_driver=False,
    )
    try:
        plan.note("ray started in s", round(time.perf_counter() - started, 1))
        _feed_enhancers(plan, bare)
    finally:
        ray.shutdown()


class Feeder:
    """As a segment worker sends: frames under way up to a window, blocks through the client."""

    def __init__(self, count: int, window: int) -> None:
        from pipeline.cluster.pool import RayPoolClient

        self._frames = frames(count)
        self._window = window
        self._client = RayPoolClient(Enhance(EnhanceConfig()), block_frames=8)

    def use(self, member: Any) -> None:
        """Send to this one from now on."""
        self._client.use([member])

    def feed(self, warm_s: float, seconds: float, caller: str) -> float:
        """Return faces a second over so many seconds, after some that do not count."""
        self._client.caller = caller
        under_way: deque[Future[Outputs]] = deque()
        room = threading.Semaphore(self._window)
        start_s = time.monotonic() + warm_s
        at = done = 0
        while time.monotonic() < start_s + seconds:
            room.acquire()
            answer = self._client.submit(self._frames[at % len(self._frames)])
            answer.add_done_callback(lambda _: room.release())
            under_way.append(answer)
            at += 1
            while under_way and under_way[0].done():
                under_way.popleft().result()
                done += time.monotonic() > start_s
        spent_s = time.monotonic() - start_s
        for answer in under_way:
            answer.result()
        return done * FACES_A_FRAME / spent_s


def fed(plan: Plan, member: Any, feeders: Sequence[Any]) -> dict[str, Any]:
    """Feed one enhancer from several processes."""
    import ray

    def report() -> dict[str, Any]:
        return cast("dict[str, Any]", ray.get(member.actor.report.remote()))

    found: dict[str, Any] = {}
    seconds = 0.3 if plan.tiny else 2.0
    for count in plan.feeders:
        used = feeders[:count]
        ray.get([feeder.use.remote(member) for feeder in used])
        started, before = time.monotonic(), report()
        replies = [feeder.feed.remote(0.5, seconds, str(n)) for n, feeder in enumerate(used)]
        speed = sum(ray.get(replies))
        spent_s, after = time.monotonic() - started, report()
        found[f"{count} feeders"] = {
            "faces_a_s": round(speed, 1),
            "node_busy_share": round((after["busy_s"] - before["busy_s"]) / spent_s, 3),
        }
    found["report"] = report()
    return found


def _feed_enhancers(plan: Plan, bare: dict[str, dict[int, float]]) -> None:
    """The product's actors, their batchers and clients; all start at once, one works at a time."""
    import ray

    from pipeline.cluster.enhancer import EnhancerActor
    from pipeline.cluster.pool import Member
    from pipeline.cluster.shared import share

    started = time.perf_counter()
    share_of_gpu = 1 / len(plan.through_ray) if plan.device.type == "cuda" else 0
    enhancers = ray.remote(EnhancerActor).options(
        num_cpus=0, num_gpus=share_of_gpu, max_concurrency=1000
    )
    members: list[Member] = []
    for name, most in plan.through_ray:
        node = enhancer(name, most)
        entry = GraphNode("enhance", Enhance, node.config, {})
        handle: Any = enhancers.remote(entry, share(node), 1, 0.004)
        members.append(Member(f"{name} max_batch {most}", handle))
    makes_feeder = ray.remote(Feeder).options(num_cpus=0, max_concurrency=2)
    feeders: list[Any] = [makes_feeder.remote(16, plan.window) for _ in range(plan.feeders[-1])]
    ray.get([member.actor.where.remote() for member in members])
    plan.note("actors started in s", round(time.perf_counter() - started, 1))
    for (name, most), member in zip(plan.through_ray, members, strict=True):
        with attempt(plan, f"ray {member.name}"):
            found = fed(plan, member, feeders)
            best = max(value["faces_a_s"] for key, value in found.items() if key != "report")
            found["ray_over_bare"] = round(best / bare[name][most], 3)
            plan.note(f"through ray {member.name}", found)
