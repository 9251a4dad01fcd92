"""Decisions made before work starts: pure functions of what is known then.

Nothing here opens a file or knows of Ray. The plan of a video depends on the video and the
configuration only, never on the number of workers, so its output does not depend on the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClusterPlan", "choose_runner", "plan_cluster"]


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """How a job spreads over a cluster."""

    workers: int
    """Segment workers."""
    worker_cpus: float
    """Cores each worker claims."""
    worker_threads: int
    """Threads each worker's libraries use."""
    enhancers: int
    """Enhancer actors."""
    enhancer_cpus: float
    enhancer_gpus: float
    enhancer_threads: int


def choose_runner(requested: str, *, videos: int, address: str | None) -> tuple[str, str]:
    """Return the runner to take, `local` or `ray`, and why.

    Starting Ray costs about 10 s, which one short video does not earn back on one machine.
    """
    if requested != "auto":
        return requested, "asked for"
    if address is not None:
        return "ray", "a cluster address is set"
    if videos > 1:
        return "ray", f"{videos} videos can run side by side"
    return "local", "one video on this machine; --runner ray to use Ray"


def plan_cluster(
    *,
    cpus: float,
    gpus: float,
    segments: int,
    workers: int | None = None,
    enhancers: int | None = None,
) -> ClusterPlan:
    """Size segment workers and enhancers for a cluster.

    With GPUs, one enhancer a GPU and every core for the workers. Without, the network does most of
    the work: half of the cores (rounded down, at least one) are for one enhancer each eight, and
    the workers' threads fill the gaps it leaves, since both wait for each other part of the time.

    Args:
        cpus: cores of the cluster.
        gpus: GPUs of the cluster.
        segments: segments to run; more workers than that are of no use.
        workers: number of workers if configured.
        enhancers: number of enhancers if configured.
    """
    cores = max(1, int(cpus))
    if enhancers is None:
        enhancers = int(gpus) if gpus >= 1 else max(1, cores // 16)
    enhancer_gpus = min(1.0, gpus / enhancers) if gpus else 0.0
    enhancer_cores = 1 if enhancer_gpus else max(1, cores // 2 // enhancers)
    left = max(1.0, cores - enhancers * enhancer_cores)
    if workers is None:
        workers = max(1, min(segments, max(cores if gpus else int(left), 2 if cores > 1 else 1)))
    # Claims are fractions of a core where actors outnumber cores, so that all of them are placed.
    claims = workers + enhancers * enhancer_cores
    share = min(1.0, cores / claims)
    return ClusterPlan(
        workers=workers,
        worker_cpus=_floor(share),
        worker_threads=max(1, int(left) // workers),
        enhancers=enhancers,
        enhancer_cpus=_floor(share * enhancer_cores),
        enhancer_gpus=enhancer_gpus,
        enhancer_threads=enhancer_cores,
    )


def _floor(claim: float) -> float:
    """Ray takes claims in steps of 0.0001; fractions above one must be whole."""
    return float(int(claim)) if claim > 1 else int(claim * 100) / 100
