"""Which cores of a cluster are a run's to use, when other jobs hold some of them.

Pure bookkeeping of what is measured; nothing here knows of Ray. GPUs are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.sizing import Machine

__all__ = ["Room", "Wait"]

LEAST_CORES: Final = 0.5
"""What is left of a machine and less than that is no room."""

PATIENCE_S: Final = 10.0
"""How long a run without room says nothing: most jobs let go of some within that time."""


class Room:
    """Takes from machines the cores that others hold.

    What they held when the run began is theirs until they let go of it, which counts when it was
    seen twice: what a lost actor of this run held is free before the run knows of the loss. What
    they take later is not given up, since this run's actors are there or in the queue for it; nor
    is a machine shared that joins later.
    """

    def __init__(self) -> None:
        self._held: dict[str, float] | None = None
        self._seen: dict[str, float] = {}

    def left(self, machines: Sequence[Machine], *ours: Mapping[str, float]) -> list[Machine]:
        """Return the machines with the cores that are left for this run.

        Args:
            machines: of the cluster, as they are now.
            ours: for each machine, cores that this run surely holds; to be added up.
        """
        seen = {
            machine.name: _others(machine, sum(held.get(machine.name, 0.0) for held in ours))
            for machine in machines
            if machine.free_cpus is not None
        }
        if self._held is None:
            self._held = seen
        else:
            self._held = {
                name: min(held, max(seen[name], self._seen.get(name, held)))
                for name, held in self._held.items()
                if name in seen
            }
        self._seen = seen
        return [_without(machine, self._held.get(machine.name, 0.0)) for machine in machines]


class Wait:
    """Says that a run waits for room, and when that is over."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._told = False

    def line(self, now_s: float, machines: Sequence[Machine], *, room: bool) -> str | None:
        """Return what is to be said now, None if nothing.

        Args:
            now_s: of a clock that never goes back.
            machines: of the cluster, as they are now.
            room: whether the run has a place on any of them.
        """
        if room or not any(machine.cpus for machine in machines):
            told, self._since_s, self._told = self._told, None, False
            return "there is room on the cluster now, going on" if told and room else None
        if self._since_s is None:
            self._since_s = now_s
        if self._told or now_s - self._since_s < PATIENCE_S:
            return None
        self._told = True
        cpus = sum(machine.cpus for machine in machines)
        free = sum(machine.free_cpus or 0.0 for machine in machines)
        return f"waiting for room on the cluster: asked for 1 CPU, {free:g} of {cpus:g} free"


def _others(machine: Machine, ours: float) -> float:
    free = machine.cpus if machine.free_cpus is None else machine.free_cpus
    return round(max(0.0, machine.cpus - free - ours), 2)


def _without(machine: Machine, held: float) -> Machine:
    left = machine.cpus - held
    return replace(machine, cpus=left if not held or left >= LEAST_CORES else 0.0)
