"""Sharing values with all actors of a run, with one copy per machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import ray
from ray import cloudpickle

__all__ = ["Shared", "share"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shared(Generic[T]):
    """A value in Ray's object store, which is kept until the driver ends."""

    ticket: bytes
    """Pickled Ray reference. Ray prints an error for a plain reference among the arguments of a
    restartable actor, because the value could be lost."""

    def get(self) -> T:
        """Return the value from this machine's store; the first call on a machine fetches it."""
        return cast("T", ray.get(cloudpickle.loads(self.ticket)))


def share(value: T) -> Shared[T]:
    """Put a value that can be pickled into the store."""
    return Shared(cloudpickle.dumps(ray.put(value)))  # pyright: ignore[reportPrivateImportUsage]
