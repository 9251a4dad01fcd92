"""Another picture around the samples of one that is shared: nothing is copied.

A packet is read-only for all who get it, but libav keeps a picture's times and colour tags with its
samples: an encoder wants its own times there, and PyAV's `reformat` sets the tags of its source
while it works.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av
from av.filter import Graph
from av.filter.context import FilterContext

from nodes.picture.filters import PictureFilter

__all__ = ["PictureView"]


class PictureView:
    """Makes such pictures, for one thread. Pickles until it has made one."""

    def __init__(
        self, field_order: Literal["tff", "bff"] | None = None, chroma: str | None = None
    ) -> None:
        """Say what the pictures are marked as; None leaves a mark as it is. PyAV cannot set them.

        Args:
            field_order: top or bottom field first; encoders and swscale believe each picture.
            chroma: libav's name of where chroma lies, which swscale believes.
        """
        marks = {"field_mode": field_order, "chroma_location": chroma}
        self._marks = ":".join(f"{key}={value}" for key, value in marks.items() if value)
        self._of: tuple[int, int, str, Fraction | None] | None = None
        self._filter: PictureFilter | None = None

    def of(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return a picture of the same samples, whose times and tags may be set."""
        kind = (picture.width, picture.height, picture.format.name, picture.time_base)
        if self._filter is None or kind != self._of:
            tick = picture.time_base or Fraction(1, 25)
            self._filter = PictureFilter(picture, tick, self._add_marks)
            self._of = kind
        (view,) = self._filter.push(picture)
        return view

    def _add_marks(self, graph: Graph) -> list[FilterContext]:
        return [graph.add("setparams", self._marks) if self._marks else graph.add("null")]
