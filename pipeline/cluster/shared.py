"""Values that all actors of a run need: each machine gets one copy, however many read it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import ray
from ray import cloudpickle

__all__ = ["Shared", "share"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shared(Generic[T]):
    """A value in Ray's object store, where it stays until the driver ends."""

    ticket: bytes
    """Ray's promise of the value, pickled by hand: if Ray saw it among the arguments of an actor
    that may start again, it would print an error, for fear that the value is gone by then."""

    def get(self) -> T:
        """Return the value, from this machine's store; the first to ask on a machine fetches it."""
        return cast("T", ray.get(cloudpickle.loads(self.ticket)))


def share(value: T) -> Shared[T]:
    """Put a value that pickles into the store."""
    return Shared(cloudpickle.dumps(ray.put(value)))  # pyright: ignore[reportPrivateImportUsage]
