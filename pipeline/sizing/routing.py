"""Choosing the pool member for the next block.

The member with the fewest outstanding blocks is chosen; those on the same machine are preferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Load", "choose"]

NEAR_AHEAD: Final = 2
"""Outstanding blocks by which a member on this machine may exceed one on another machine."""


@dataclass(frozen=True, slots=True)
class Load:
    """The state of a pool member as seen by a worker."""

    under_way: int
    """Outstanding blocks."""
    near: bool
    """Whether it is on the worker's machine."""
    answering: bool = True
    """Whether it has started, and was not lost since."""


def choose(loads: Sequence[Load]) -> int | None:
    """Return the index of the member to send to, None if none is available."""
    answering = [index for index, load in enumerate(loads) if load.answering]
    return min(answering, key=lambda index: _cost(loads[index]), default=None)


def _cost(load: Load) -> tuple[int, bool]:
    return load.under_way + (0 if load.near else NEAR_AHEAD), not load.near
