"""Determining the cores and GPUs of a cluster that other jobs do not use. Independent of Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.sizing.sizing import Machine

__all__ = ["Claims", "OnCpus", "SpareCapacity", "Wait"]

LEAST_CORES: Final = 0.5
"""If fewer cores are free on a machine, it counts as having none."""

LEAST_GPUS: Final = 0.1
"""The same for GPUs: three jobs with 0.33 of a GPU each leave none of it."""

PATIENCE_S: Final = 10.0
"""How long a run waits for resources before it says so, s; most jobs free some by then."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Resources in use on a machine."""

    cpus: float = 0.0
    gpus: float = 0.0

    def __add__(self, other: Claims) -> Claims:
        """Return the sum."""
        return Claims(self.cpus + other.cpus, self.gpus + other.gpus)


class SpareCapacity:
    """Subtracts the cores and GPUs of other jobs from machines.

    Resources that other jobs used when the run began are subtracted until they are free. They count
    as free when this was seen twice, because the resources of a lost actor of this run are free
    before the run notices the loss. Resources that others take later are not subtracted, since this
    run has or has requested them; nor are those of machines that join later.
    """

    def __init__(self) -> None:
        self._cpus = _OthersUsage()
        self._gpus = _OthersUsage()

    def left(self, machines: Sequence[Machine], *ours: Mapping[str, Claims]) -> list[Machine]:
        """Return the machines with the resources that this run may use.

        Args:
            machines: the current machines of the cluster.
            ours: resources that this run uses, by machine; they are added.
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
    """The use of one resource by other jobs, by machine."""

    def __init__(self) -> None:
        self._taken: dict[str, float] | None = None
        self._seen: dict[str, float] = {}

    def now(self, used: Mapping[str, float]) -> Mapping[str, float]:
        """Return the amount to leave to other jobs, given what is neither free nor this run's."""
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
    """Makes the messages when a run starts and stops waiting for resources."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._told = False

    def line(self, now_s: float, machines: Sequence[Machine], *, has_placement: bool) -> str | None:
        """Return a message, or None.

        Args:
            now_s: monotonic time, s.
            machines: the current machines of the cluster.
            has_placement: whether the run has actors on any of them.
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
    """Makes the messages when the network runs on CPUs because other jobs use all GPUs."""

    def __init__(self) -> None:
        self._told = False

    def line(self, machines: Sequence[Machine], left: Sequence[Machine]) -> str | None:
        """Return a message, or None.

        Args:
            machines: the current machines of the cluster.
            left: the machines with the resources that this run may use.
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
