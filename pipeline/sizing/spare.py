"""Which cores and GPUs of a cluster are a run's to use, when other jobs hold some of them.

Pure bookkeeping of what is measured; nothing here knows of Ray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.sizing.sizing import Machine

__all__ = ["Claims", "OnCpus", "SpareCapacity", "Wait"]

LEAST_CORES: Final = 0.5
"""What is left of a machine and less than that is no room."""

LEAST_GPUS: Final = 0.1
"""As of cores: three jobs that hold 0.33 of a GPU each leave nothing of it."""

PATIENCE_S: Final = 10.0
"""How long a run without room says nothing: most jobs let go of some within that time."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What somebody holds of a machine."""

    cpus: float = 0.0
    gpus: float = 0.0

    def __add__(self, other: Claims) -> Claims:
        """Return what both hold."""
        return Claims(self.cpus + other.cpus, self.gpus + other.gpus)


class SpareCapacity:
    """Takes from machines the cores and GPUs that others hold.

    What they held when the run began is theirs until they let go of it, which counts when it was
    seen twice: what a lost actor of this run held is free before the run knows of the loss. What
    they take later is not given up, since this run's actors are there or in the queue for it; nor
    is a machine shared that joins later.
    """

    def __init__(self) -> None:
        self._cpus = _OthersUsage()
        self._gpus = _OthersUsage()

    def left(self, machines: Sequence[Machine], *ours: Mapping[str, Claims]) -> list[Machine]:
        """Return the machines with the cores and GPUs that are left for this run.

        Args:
            machines: of the cluster, as they are now.
            ours: for each machine, what this run surely holds; to be added up.
        """
        own = {
            machine.name: sum((claims.get(machine.name, Claims()) for claims in ours), Claims())
            for machine in machines
        }
        cpus = self._cpus.now(
            {
                machine.name: machine.cpus - machine.free_cpus - own[machine.name].cpus
                for machine in machines
                if machine.free_cpus is not None
            }
        )
        gpus = self._gpus.now(
            {
                machine.name: machine.gpus - machine.free_gpus - own[machine.name].gpus
                for machine in machines
                if machine.free_gpus is not None
            }
        )
        return [
            replace(
                machine,
                cpus=_rest(machine.cpus, cpus.get(machine.name, 0.0), LEAST_CORES),
                gpus=_rest(machine.gpus, gpus.get(machine.name, 0.0), LEAST_GPUS),
            )
            for machine in machines
        ]


class _OthersUsage:
    """What others hold of one kind of thing, by machine."""

    def __init__(self) -> None:
        self._taken: dict[str, float] | None = None
        self._seen: dict[str, float] = {}

    def now(self, used: Mapping[str, float]) -> Mapping[str, float]:
        """Return what is to be left to them, given what is neither free nor this run's."""
        seen = {name: round(max(0.0, some), 2) for name, some in used.items()}
        if self._taken is None:
            self._taken = seen
        else:
            self._taken = {
                name: min(taken, max(seen[name], self._seen.get(name, taken)))
                for name, taken in self._taken.items()
                if name in seen
            }
        self._seen = seen
        return self._taken


class Wait:
    """Says that a run waits for room, and when that is over."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._told = False

    def line(self, now_s: float, machines: Sequence[Machine], *, has_placement: bool) -> str | None:
        """Return what is to be said now, None if nothing.

        Args:
            now_s: of a clock that never goes back.
            machines: of the cluster, as they are now.
            has_placement: whether the run has a place on any of them.
        """
        if has_placement or not any(machine.cpus for machine in machines):
            told, self._since_s, self._told = self._told, None, False
            return "there is room on the cluster now, going on" if told and has_placement else None
        if self._since_s is None:
            self._since_s = now_s
        if self._told or now_s - self._since_s < PATIENCE_S:
            return None
        self._told = True
        cpus = sum(machine.cpus for machine in machines)
        free = sum(machine.free_cpus or 0.0 for machine in machines)
        return f"waiting for room on the cluster: asked for 1 CPU, {free:g} of {cpus:g} free"


class OnCpus:
    """Says that the network runs on CPUs, since others hold the GPUs, and when that is over."""

    def __init__(self) -> None:
        self._told = False

    def line(self, machines: Sequence[Machine], left: Sequence[Machine]) -> str | None:
        """Return what is to be said now, None if nothing.

        Args:
            machines: of the cluster, as they are now.
            left: what of them is this run's to use.
        """
        gpus = sum(machine.gpus for machine in machines)
        taken = bool(gpus) and not any(machine.gpus for machine in left)
        told, self._told = self._told, taken
        if taken and not told:
            return (
                f"other jobs hold the cluster's GPUs ({gpus:g}): the network runs on CPUs for now"
            )
        return "there are GPUs for the network now" if told and gpus and not taken else None


def _rest(whole: float, taken: float, least: float) -> float:
    left = round(whole - taken, 4)
    return left if not taken or left >= least else 0.0
