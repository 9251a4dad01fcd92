"""How many segment workers and enhancers a cluster gets, and on which of its machines.

Pure functions of what is known then; nothing here knows of Ray. The sizing depends on the cluster,
the videos' plan never does, so the output does not depend on where it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Machine", "Placement", "Sizing", "Wishes", "claim", "missing", "size"]

CORES_AN_ENHANCER: Final = 8
"""Threads up to which the network gets faster on a CPU."""

MOST_MISSING: Final = 32
"""Actors to ask an autoscaler for at once: it grows the cluster step by step."""

WORKERS_A_GPU: Final = 8
"""Workers for which another GPU is asked for."""

STORE_SHARE: Final = 0.3
"""Share of the smallest object store that faces under way may fill: the rest is for other jobs."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine of the cluster has."""

    name: str
    """Unique in the cluster."""
    cpus: float
    gpus: float = 0.0
    """Below 1 where only a part of a GPU is offered."""
    store_bytes: int = 0
    """Size of its object store, 0 if unknown."""
    free_cpus: float | None = None
    """Cores that nobody holds at the moment, None if unknown."""
    free_gpus: float | None = None
    """GPUs that nobody holds at the moment, None if unknown."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the configuration says of sizes; None is for `size` to decide."""

    workers: int | None = None
    enhancers: int | None = None
    enhancer_gpus: float | None = None
    """GPUs of each enhancer, such as 0.5 for two on each GPU, or 0 to leave GPUs alone."""
    store_bytes: int | None = None
    """Bytes of faces that may be under way at once."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What runs on one machine."""

    machine: str
    cpus: float
    """Cores of the machine."""
    workers: int
    """Segment workers."""
    worker_cpus: float
    """Cores each worker claims."""
    worker_threads: int
    """Threads each worker's libraries use."""
    enhancers: int
    enhancer_cpus: float
    enhancer_gpus: float
    enhancer_threads: int


@dataclass(frozen=True, slots=True)
class Sizing:
    """How a job spreads over a cluster."""

    placements: tuple[Placement, ...]
    """The machines that take part, in the cluster's order."""
    worker_bytes: int | None
    """Bytes of faces that each worker may have under way; None if the store's size is unknown."""

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
    """Size segment workers and enhancers for a cluster.

    Where there are GPUs, one enhancer each, and every core of every machine is for workers. Where
    there are none, the network does most of the work: on each machine with workers, half of the
    cores (rounded down, at least one) are for enhancers of up to eight threads, so that faces stay
    on their machine; the workers' threads fill the gaps, since both wait for each other part of
    the time. There are never more enhancers than workers, unless asked for.

    Args:
        machines: of the cluster.
        segments: to run; more workers than that are of no use.
        wishes: what the configuration asks for.
        busy: for each machine, how many workers have a segment there: they stay.
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
    """Return how many cores an actor made now may claim.

    Actors keep the claim they were made with. Those that come later, when a machine was lost and
    the others take over its share, get what is left, at worst nothing: one that claimed more would
    wait for room that its own run holds, perhaps for ever.

    Args:
        wanted: its share, as `size` deals them.
        cpus: of its machine.
        claimed: what the run's other actors claim there.
    """
    return min(wanted, _floor(max(0.0, cpus - claimed)))


def missing(
    sizing: Sizing, *, segments: int, on_gpus: bool, wishes: Wishes | None = None
) -> list[dict[str, float]]:
    """Return what more an autoscaling cluster could be asked for: each item fits on one machine.

    Args:
        sizing: of the cluster as it is.
        segments: to run.
        on_gpus: whether the network runs on GPUs.
        wishes: what the configuration asks for.
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
    """Return how many enhancers a machine's GPUs hold; an enhancer never sits on two of them."""
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
    # On few cores a second worker fills the first one's waits.
    return max(cores - cores // 2, min(2, cores))


def _spread(
    total: int, slots: Sequence[int], *, first: Sequence[int], dealt: Sequence[int]
) -> list[int]:
    """Deal `total` out so that each machine fills about the same share of its slots.

    Args:
        total: to deal out; beyond the sum of the slots, all machines are overfilled evenly.
        slots: of each machine; one with 0 gets nothing.
        first: among machines filled alike, the one with the most of this comes first.
        dealt: how many of the total each machine has already.
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
    # Claims are fractions of a core where actors outnumber cores, so that all of them are placed.
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
    """Divide what may be under way: at worst all of it lies on one machine."""
    total = wishes.store_bytes
    if total is None:
        stores = [machine.store_bytes for machine in machines if machine.store_bytes]
        total = int(STORE_SHARE * min(stores)) if stores else None
    return None if total is None else total // max(1, workers)


def _floor(claim: float) -> float:
    """Ray takes claims in steps of 0.0001; fractions above one must be whole."""
    return float(int(claim)) if claim > 1 else int(claim * 100) / 100
