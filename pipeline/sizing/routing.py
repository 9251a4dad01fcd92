"""Which member of a pool gets the next block: pure functions of what one worker knows.

Least outstanding first, and the same machine before others, whose answers cross the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Load", "choose"]

NEAR_AHEAD: Final = 2
"""Blocks that a member on this machine may have under way more than one elsewhere."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker knows of one member of a pool."""

    under_way: int
    """Blocks sent to it and not answered."""
    near: bool
    """Whether it is on the worker's machine."""
    answering: bool = True
    """Whether it has said that it is there, and was not lost since."""


def choose(loads: Sequence[Load]) -> int | None:
    """Return the index of the member to send to, None while none answers."""
    answering = [index for index, load in enumerate(loads) if load.answering]
    return min(answering, key=lambda index: _cost(loads[index]), default=None)


def _cost(load: Load) -> tuple[int, bool]:
    return load.under_way + (0 if load.near else NEAR_AHEAD), not load.near
