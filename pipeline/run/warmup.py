"""Deciding which nodes see which of the warm-up frames before a segment."""

from __future__ import annotations

from functools import cache

from nodes.types import VideoInfo
from pipeline.graph.graph import Graph

__all__ = ["Warmup"]


class Warmup:
    """The warm-up frames of a segment, for each node."""

    def __init__(self, graph: Graph, source: VideoInfo, start_pts: int | None) -> None:
        """Compute the first warm-up frame of each node.

        Args:
            graph: the dataflow.
            source: the video as described by the source node.
            start_pts: first pts of the segment, None if there is no warm-up.
        """
        self._start_pts = start_pts
        wanted_s = {} if start_pts is None else graph.warmups_s(source)
        self._first_pts = {
            name: (start_pts or 0) - round(seconds / source.time_base)
            for name, seconds in wanted_s.items()
        }
        self._ends_of = cache(graph.ends_of)

    def holds(self, pts: int) -> bool:
        """Return whether a frame is before the segment."""
        return self._start_pts is not None and pts < self._start_pts

    def is_for(self, node: str, pts: int) -> bool:
        """Return whether a node sees a frame."""
        return not self.holds(pts) or (node in self._first_pts and pts >= self._first_pts[node])

    def ends(self, pts: int) -> frozenset[str]:
        """Return the last nodes that see a warm-up frame."""
        seeing = frozenset(name for name, first in self._first_pts.items() if pts >= first)
        return self._ends_of(seeing)
