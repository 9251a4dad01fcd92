"""Closed captions, which are beside the samples of a picture, in pictures that are made of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
from av.filter import Graph
from av.filter.context import FilterContext

from nodes.picture.filters import PictureFilter
from nodes.picture.regions import copy_samples, copy_tags

__all__ = ["Captions"]

_SELECT: Final = "mode=select:type=1"
"""Lets through pictures with captions (AV_FRAME_DATA_A53_CC)."""


class Captions:
    """Finds captions, and passes them on. Use one for each thread and stream."""

    def __init__(self) -> None:
        self._filters: dict[tuple[int, int, str, int, int, str], PictureFilter] = {}

    def of(self, picture: av.VideoFrame) -> bool:
        """Return whether a picture has captions."""
        return self._with_captions(picture, picture) is not None

    def carried(self, source: av.VideoFrame, made: av.VideoFrame) -> av.VideoFrame:
        """Return a picture with the captions of the one it was made of.

        Args:
            source: may have captions.
            made: of any size and pixel format, without captions.

        Returns:
            `made`, or a copy of it with the captions of `source`.
        """
        if made is source:
            return made
        copy = self._with_captions(source, made)
        if copy is None:
            return made
        copy.make_writable()
        copy_samples(made, copy)
        copy_tags(made, copy)
        return copy

    def _with_captions(self, source: av.VideoFrame, like: av.VideoFrame) -> av.VideoFrame | None:
        """Return a picture with the captions of `source`, and the size and format of `like`."""
        sizes = (like.width, like.height, like.format.name)
        key = (source.width, source.height, source.format.name, *sizes)
        if key not in self._filters:

            def add(graph: Graph) -> list[FilterContext]:
                chain = [graph.add("sidedata", _SELECT)]
                if key[:3] != key[3:]:
                    chain.append(graph.add("scale", f"{like.width}:{like.height}:flags=neighbor"))
                    chain.append(graph.add("format", like.format.name))
                return chain

            ticks = source.time_base or Fraction(1, 90_000)
            self._filters[key] = PictureFilter(source, ticks, add)
        found = self._filters[key].push(source)
        return found[0] if found else None
