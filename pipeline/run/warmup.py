"""Which nodes see which of the frames before a segment: nodes with state begin it warm."""

from __future__ import annotations

from functools import cache

from nodes.types import VideoInfo
from pipeline.graph.graph import Graph

__all__ = ["Warmup"]


class Warmup:
    """The frames before one segment: each node sees as many as it and those it feeds want."""

    def __init__(self, graph: Graph, source: VideoInfo, start_pts: int | None) -> None:
        """Look at what the nodes want.

        Args:
            graph: the dataflow.
            source: the video as the source describes it.
            start_pts: first pts of the segment, None if nothing is before it.
        """
        self._start_pts = start_pts
        wanted_s = {} if start_pts is None else graph.warmups_s(source)
        self._first_pts = {
            name: (start_pts or 0) - round(seconds / source.time_base)
            for name, seconds in wanted_s.items()
        }
        self._ends_of = cache(graph.ends_of)

    def holds(self, pts: int) -> bool:
        """Say whether a frame is before the segment."""
        return self._start_pts is not None and pts < self._start_pts

    def is_for(self, node: str, pts: int) -> bool:
        """Say whether a node sees a frame."""
        return not self.holds(pts) or (node in self._first_pts and pts >= self._first_pts[node])

    def ends(self, pts: int) -> frozenset[str]:
        """Return the nodes of which the last one is through with a frame before the segment."""
        seeing = frozenset(name for name, first in self._first_pts.items() if pts >= first)
        return self._ends_of(seeing)
