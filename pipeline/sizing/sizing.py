"""Computing the number of segment workers and enhancers on each machine of a cluster.

Pure functions, independent of Ray. The sizing depends on the cluster, but the segments of a video
do not, so that the output does not depend on the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Machine", "Placement", "Sizing", "Wishes", "claim", "missing", "size"]

CORES_AN_ENHANCER: Final = 8
"""Most threads per enhancer on a CPU; the network does not get faster with more."""

MOST_MISSING: Final = 32
"""Most actors to request from an autoscaler at once, as it grows the cluster step by step."""

WORKERS_A_GPU: Final = 8
"""Missing workers for which another GPU is requested from an autoscaler."""

STORE_SHARE: Final = 0.3
"""Share of the smallest object store for faces in flight; the rest is left for other jobs."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The resources of a machine of the cluster."""

    name: str
    """Unique in the cluster."""
    cpus: float
    gpus: float = 0.0
    """Below 1 where only a part of a GPU is offered."""
    store_bytes: int = 0
    """Size of its object store, 0 if unknown."""
    free_cpus: float | None = None
    """Cores that are free now, None if unknown."""
    free_gpus: float | None = None
    """GPUs that are free now, None if unknown."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Configured sizes; None is computed."""

    workers: int | None = None
    enhancers: int | None = None
    enhancer_gpus: float | None = None
    """GPUs per enhancer, such as 0.5 for two on each GPU, or 0 for CPUs."""
    store_bytes: int | None = None
    """Most bytes of faces in flight."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The actors of one machine."""

    machine: str
    cpus: float
    """Cores of the machine."""
    workers: int
    """Segment workers."""
    worker_cpus: float
    """Cores that each worker claims."""
    worker_threads: int
    """Threads that each worker's libraries use."""
    enhancers: int
    enhancer_cpus: float
    enhancer_gpus: float
    enhancer_threads: int


@dataclass(frozen=True, slots=True)
class Sizing:
    """The actors of a job on a cluster."""

    placements: tuple[Placement, ...]
    """The machines with actors, in the order of the cluster."""
    worker_bytes: int | None
    """Most bytes of faces in flight per worker; None if the store's size is unknown."""

    @property
    def workers(self) -> int:
        """Segment workers on all machines."""
        return sum(placement.workers for placement in self.placements)

    @property
    def enhancers(self) -> int:
        """Enhancers on all machines."""
        return sum(placement.enhancers for placement in self.placements)


def size(
    machines: Sequence[Machine],
    *,
    segments: int,
    wishes: Wishes | None = None,
    busy: Mapping[str, int] | None = None,
) -> Sizing:
    """Compute the segment workers and enhancers for a cluster.

    With GPUs there is an enhancer for each of them, and all cores are for workers. Without GPUs the
    network takes most of the time: on each machine with workers, half of the cores (rounded down,
    at least one) are for enhancers of up to eight threads, so that faces stay on their machine.
    Workers and enhancers wait for each other part of the time, so that their threads may exceed the
    cores. There are no more enhancers than workers, unless configured.

    Args:
        machines: the machines of the cluster.
        segments: number of segments to run, which bounds the number of workers.
        wishes: the configured sizes.
        busy: number of workers with a segment, by machine; they are kept.
    """
    wishes, busy = wishes or Wishes(), busy or {}
    usable = [machine for machine in machines if machine.cpus > 0]
    enhancer_slots = [_gpu_slots(machine, wishes) for machine in usable]
    on_gpus = any(enhancer_slots)
    worker_slots = [_worker_slots(machine, on_gpus=on_gpus) for machine in usable]
    workers = _spread(
        wishes.workers or min(max(1, segments), sum(worker_slots)),
        worker_slots,
        first=enhancer_slots,
        dealt=[busy.get(machine.name, 0) for machine in usable],
    )
    if not on_gpus:
        enhancer_slots = [
            max(1, int(machine.cpus) // (2 * CORES_AN_ENHANCER)) if count else 0
            for machine, count in zip(usable, workers, strict=True)
        ]
    total = wishes.enhancers or min(sum(enhancer_slots), sum(workers))
    enhancers = _spread(total, enhancer_slots, first=workers, dealt=[0] * len(usable))
    placements = tuple(
        _placement(machine, workers=some, enhancers=others, on_gpus=on_gpus, wishes=wishes)
        for machine, some, others in zip(usable, workers, enhancers, strict=True)
        if some or others
    )
    return Sizing(placements, _worker_bytes(usable, sum(workers), wishes))


def claim(wanted: float, *, cpus: float, claimed: float) -> float:
    """Return how many cores a new actor may claim.

    Claims of actors cannot be changed. If a machine is lost, actors that are added to the others
    get the cores that are left, possibly none; with a larger claim they would wait for cores of
    their own run, possibly forever.

    Args:
        wanted: its share according to `size`.
        cpus: cores of its machine.
        claimed: cores claimed by the run's other actors on this machine.
    """
    return min(wanted, _floor(max(0.0, cpus - claimed)))


def missing(
    sizing: Sizing, *, segments: int, on_gpus: bool, wishes: Wishes | None = None
) -> list[dict[str, float]]:
    """Return the resources to request from an autoscaler, in bundles that each fit on one machine.

    Args:
        sizing: the sizing for the current cluster.
        segments: number of segments to run.
        on_gpus: whether the network runs on GPUs.
        wishes: the configured sizes.
    """
    wishes = wishes or Wishes()
    wanted = segments if wishes.workers is None else min(segments, wishes.workers)
    workers = max(0, min(MOST_MISSING, wanted - sizing.workers))
    asked: list[dict[str, float]] = [{"CPU": 1.0}] * workers
    if on_gpus and wishes.enhancers is None:
        each = 1.0 if wishes.enhancer_gpus is None else wishes.enhancer_gpus
        asked += [{"CPU": 1.0, "GPU": each}] * -(-workers // WORKERS_A_GPU)
    return asked


def _gpu_slots(machine: Machine, wishes: Wishes) -> int:
    """Return how many enhancers fit on a machine's GPUs; an enhancer uses one GPU only."""
    each = 1.0 if wishes.enhancer_gpus is None else wishes.enhancer_gpus
    if machine.gpus <= 0 or each <= 0:
        return 0
    whole = int(machine.gpus)
    if wishes.enhancer_gpus is None:
        return max(1, whole)
    if each > 1:
        return int(machine.gpus / each)
    return whole * _fits(each, 1.0) + _fits(each, machine.gpus - whole)


def _fits(part: float, whole: float) -> int:
    return int(whole / part + 1e-9)


def _worker_slots(machine: Machine, *, on_gpus: bool) -> int:
    cores = max(1, int(machine.cpus))
    if on_gpus:
        return cores
    # On few cores a second worker uses the time in which the first one waits.
    return max(cores - cores // 2, min(2, cores))


def _spread(
    total: int, slots: Sequence[int], *, first: Sequence[int], dealt: Sequence[int]
) -> list[int]:
    """Distribute `total` so that each machine fills about the same share of its slots.

    Args:
        total: the number to distribute; if it exceeds the slots, machines are overfilled evenly.
        slots: slots of each machine; a machine with 0 gets nothing.
        first: tie-breaker: machines with a larger value come first.
        dealt: the part of the total that each machine has already.
    """
    out = list(dealt)
    usable = [index for index, count in enumerate(slots) if count]
    for _ in range(total - sum(out) if usable else 0):
        index = min(usable, key=lambda i: (out[i] / slots[i], -first[i], i))
        out[index] += 1
    return out


def _placement(
    machine: Machine, *, workers: int, enhancers: int, on_gpus: bool, wishes: Wishes
) -> Placement:
    cores = max(1, int(machine.cpus))
    threads = 1 if on_gpus else max(1, min(CORES_AN_ENHANCER, cores // 2 // max(1, enhancers)))
    left = max(1, cores - enhancers * threads)
    # If there are more actors than cores, they claim fractions, so that all of them can be placed.
    share = min(1.0, machine.cpus / (workers + enhancers * threads))
    return Placement(
        machine=machine.name,
        cpus=machine.cpus,
        workers=workers,
        worker_cpus=_floor(share),
        worker_threads=max(1, left // max(1, workers)),
        enhancers=enhancers,
        enhancer_cpus=_floor(share * threads),
        enhancer_gpus=_gpus_each(machine, enhancers, wishes) if on_gpus else 0.0,
        enhancer_threads=threads,
    )


def _gpus_each(machine: Machine, enhancers: int, wishes: Wishes) -> float:
    wanted = 1.0 if wishes.enhancer_gpus is None else wishes.enhancer_gpus
    if enhancers <= _gpu_slots(machine, wishes):
        return min(wanted, machine.gpus)
    if machine.gpus < 1:
        return _floor(machine.gpus / enhancers)
    return _floor(1.0 / -(-enhancers // int(machine.gpus)))  # by the fullest GPU


def _worker_bytes(machines: Sequence[Machine], workers: int, wishes: Wishes) -> int | None:
    """Divide the bytes in flight by the workers: all of them may be on one machine."""
    total = wishes.store_bytes
    if total is None:
        stores = [machine.store_bytes for machine in machines if machine.store_bytes]
        total = int(STORE_SHARE * min(stores)) if stores else None
    return None if total is None else total // max(1, workers)


def _floor(claim: float) -> float:
    """Round a claim down for Ray: to 0.01 below 1, to an integer above."""
    return float(int(claim)) if claim > 1 else int(claim * 100) / 100
