"""What a row of the conformance table is.

A row without `differs` and `refused` holds in every column. `differs` names the columns that the
output's container or codec cannot hold, each with the reason; `refused` is the error that the user
gets before any work starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.conformance.sources import Maker, of
from tests.support.media import Video

__all__ = ["Adder", "Column", "Row"]

Column = Literal["frames", "times", "picture", "shape", "streams", "tags"]


@dataclass(frozen=True, slots=True)
class Row:
    """One source and what becomes of it."""

    group: str
    name: str
    source: str
    """The file's name."""
    make: Maker
    target: str | None = None
    """Suffix of the output that the user asks for; None leaves it to the program."""
    holds: str | None = None
    """Suffix of the output that is expected; None: the target's, else the source's."""
    codec: str | None = None
    """What the video becomes; None: the source's own codec."""
    pix_fmt: str | None = None
    """Pixel format of the output; None: the source's own."""
    frames: int | None = 12
    """Frames in the source; None where damage decides."""
    times_ms: tuple[float, ...] | None = None
    """Times that are expected; None: the source's own."""
    settings: tuple[str, ...] = ()
    differs: Mapping[Column, str] = field(default_factory=dict[Column, str])
    refused: str | None = None
    """Regular expression of the error."""
    changed: tuple[int, ...] | None = None
    """Frames that a node changes, as it would faces, in the order shown, with copying on; None:
    nothing is changed, and the row holds with copying on and off."""
    copied: tuple[int, ...] = ()
    """Frames that are copied then."""


class Adder:
    """Collects the rows of a group."""

    def __init__(self, group: str, frames: int | None = None) -> None:
        self.rows: list[Row] = []
        self._group, self._frames = group, frames

    def __call__(self, name: str, source: str, video: Video, **more: Any) -> None:
        """Add a row for a recipe, with as many frames as the group or the recipe has."""
        if self._frames is not None:
            video = replace(video, frames=self._frames)
        count = len(video.pts) if video.pts is not None else video.frames
        row = Row(self._group, name, source, of(video), frames=count)
        self.rows.append(replace(row, **more))
