"""The queues between the nodes of a graph, some of which are bounded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from typing import Any, Final

from pipeline.graph.graph import Graph

__all__ = ["Channel", "channels_of"]

POLL_S: Final = 0.1
"""Interval of checks while a full channel is waited for, s."""

BEFORE_POOL: Final = 4
"""Frames that may wait between two nodes on the way to a pool: some take longer than others."""


class Channel:
    """Packets for one input of a node, in order. One thread puts, another one takes."""

    def __init__(self, most: int | None = None) -> None:
        """Make an empty channel.

        Args:
            most: most packets that may wait in it, None for no bound.
        """
        self._packets: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._free = None if most is None else threading.Semaphore(most)

    def put(self, packet: object, check: Callable[[], None]) -> None:
        """Add a packet; wait while the channel is full.

        Args:
            packet: the packet.
            check: called every 0.1 s while waiting; may raise to stop.
        """
        while self._free is not None and not self._free.acquire(timeout=POLL_S):
            check()
        self._packets.put(packet)

    def put_last(self, mark: object) -> None:
        """Add what ends the stream, at once, also to a full channel."""
        self._packets.put(mark)

    def take(self) -> object:
        """Remove and return the next packet; wait until there is one."""
        packet = self._packets.get()
        if self._free is not None:
            self._free.release()
        return packet


def channels_of(graph: Graph, pools: Collection[str]) -> dict[tuple[str, str], Channel]:
    """Return the channel into each input of each node, by names.

    Those on the way to a pool are short, except behind the source, whose frames are counted.

    Args:
        graph: the dataflow.
        pools: names of its pool nodes.
    """
    leading = set(pools).union(*map(graph.before, pools))
    return {
        (entry.name, port): Channel(
            BEFORE_POOL if entry.name in leading and edge.node != graph.source.name else None
        )
        for entry in graph.nodes
        for port, edge in entry.inputs.items()
    }
