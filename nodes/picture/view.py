"""Pictures that share the samples of another one but have their own times and tags.

Packets are read-only, but libav stores times and colour tags in the picture: an encoder needs its
own times there, and PyAV's `reformat` sets tags of its source temporarily.
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
    """Makes such pictures, for one thread. Can be pickled until it is used."""

    def __init__(
        self, field_order: Literal["tff", "bff", "prog"] | None = None, chroma: str | None = None
    ) -> None:
        """Set marks that PyAV cannot set itself; None does not change a mark.

        Args:
            field_order: top or bottom field first, or not interlaced, as used by encoders and
                swscale.
            chroma: libav's name of the chroma siting, as used by swscale.
        """
        marks = {"field_mode": field_order, "chroma_location": chroma}
        self._marks = ":".join(f"{key}={value}" for key, value in marks.items() if value)
        self._of: tuple[int, int, str, Fraction | None] | None = None
        self._filter: PictureFilter | None = None

    def of(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return a picture with the same samples, whose times and tags may be set."""
        kind = (picture.width, picture.height, picture.format.name, picture.time_base)
        if self._filter is None or kind != self._of:
            tick = picture.time_base or Fraction(1, 25)
            self._filter = PictureFilter(picture, tick, self._add_marks)
            self._of = kind
        (view,) = self._filter.push(picture)
        return view

    def _add_marks(self, graph: Graph) -> list[FilterContext]:
        return [graph.add("setparams", self._marks) if self._marks else graph.add("null")]
