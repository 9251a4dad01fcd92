"""Applying libav filters to decoded pictures."""

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
    """A chain of filters for pictures of one size and pixel format."""

    def __init__(
        self,
        template: av.VideoFrame | VideoStream,
        time_base: Fraction,
        add: Callable[[Graph], Sequence[FilterContext]],
    ) -> None:
        """Set the filters up.

        Args:
            template: a picture of that size and pixel format.
            time_base: time base of the pictures' times, s.
            add: adds filters to the graph and returns those to link in a chain; it links any
                others itself.
        """
        self._graph = Graph()
        # PyAV expects a stream, but uses only attributes that a picture has, too.
        source = self._graph.add_buffer(cast("VideoStream", template), time_base=time_base)
        self._graph.link_nodes(source, *add(self._graph), self._graph.add("buffersink"))
        self._graph.configure()

    def push(self, picture: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Push a picture, or None after the last one; return the pictures that come out."""
        self._graph.vpush(picture)
        done: list[av.VideoFrame] = []
        while True:
            try:
                done.append(self._graph.vpull())
            except (BlockingIOError, AvEOFError):
                return done
