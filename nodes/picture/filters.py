"""libav's filters on decoded pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import cast

import av
from av.error import EOFError as AvEOFError
from av.filter import Graph
from av.filter.context import FilterContext
from av.video import VideoStream

__all__ = ["PictureFilter"]


class PictureFilter:
    """Filters that pictures of one size and pixel format go through, one after the other."""

    def __init__(
        self,
        template: av.VideoFrame | VideoStream,
        time_base: Fraction,
        add: Callable[[Graph], Sequence[FilterContext]],
    ) -> None:
        """Set the filters up.

        Args:
            template: of the pictures' size and pixel format.
            time_base: seconds a tick of the pictures' times lasts.
            add: adds filters to the graph and returns those that are to be linked in line; what
                else it adds it links itself.
        """
        self._graph = Graph()
        # PyAV asks for a stream, and reads no more of it than a picture has too.
        source = self._graph.add_buffer(cast("VideoStream", template), time_base=time_base)
        self._graph.link_nodes(source, *add(self._graph), self._graph.add("buffersink"))
        self._graph.configure()

    def push(self, picture: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Hand a picture in, or None after the last one; return what comes out by then."""
        self._graph.vpush(picture)
        done: list[av.VideoFrame] = []
        while True:
            try:
                done.append(self._graph.vpull())
            except (BlockingIOError, AvEOFError):
                return done
