"""Settings of the decoder."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from nodes.decode.hardware import HardwareKind
from nodes.node import NodeConfig

__all__ = ["DecodeConfig", "Seconds"]


def _seconds(value: object) -> object:
    """Convert the texts `1:02:03.5`, `02:03.5` and `3.5` to seconds; return what is no text."""
    if not isinstance(value, str):
        return value
    if not _CLOCK.fullmatch(value):
        with suppress(ValueError):
            return float(value)
        raise ValueError("expected seconds, or a time such as 01:30 or 1:02:03.5")
    return sum(float(part) * 60**place for place, part in enumerate(reversed(value.split(":"))))


_CLOCK: Final = re.compile(r"(?:\d{1,9}:[0-5]?\d|\d{1,9}):[0-5]?\d(\.\d*)?", re.ASCII)

MOST_S: Final = 1e8
"""Longest time, s: three years. libav counts microseconds in 64 bits."""

Seconds = Annotated[float, Field(ge=0, le=MOST_S), BeforeValidator(_seconds)]
"""Seconds as a number, or as text: `01:30`, `1:02:03.5`."""


class DecodeConfig(NodeConfig):
    """The part of a video to decode, and how. Times count from the first picture."""

    from_s: Seconds | None = None
    """Start at the first frame at or after this time; None: at the start."""
    to_s: Seconds | None = None
    """End before the first frame at or after this time; None: at the end."""
    rate: float | None = Field(default=None, ge=0.001, le=1000)
    """Frame rate of sources without times, 1/s: numbered pictures (None: 25) and raw streams such
    as .h264 (None: the rate in the header, else 25)."""
    video: int | None = Field(default=None, ge=0)
    """Index of the video stream, as `aminet probe` numbers them; None: the best one. The others are
    copied as they are."""
    deinterlace: bool = False
    """Deinterlace interlaced pictures, keeping their number; else they stay interlaced."""

    exact: bool = False
    """Decode in software only, which gives the same pictures everywhere: `--evidence`."""
    hardware: HardwareKind = "off"
    """Decode on a graphics card of this kind, or of any (`auto`), where its pictures are those of
    the software decoder (docs/cost.md). Else in software: the report says why."""

    @property
    def trims(self) -> bool:
        """Whether only a part of the video is decoded."""
        return self.from_s is not None or self.to_s is not None

    def uncut_reason(self) -> str | None:
        """See `NodeConfig`."""
        return "only a part of it is wanted" if self.trims else None

    @field_validator("hardware")
    @classmethod
    def _not_if_exact(cls, hardware: HardwareKind, checked: ValidationInfo) -> HardwareKind:
        if hardware != "off" and checked.data.get("exact"):
            raise ValueError(
                "expected off with --evidence (decode.exact), since damage that a graphics card"
                " patches without a word is not found"
            )
        return hardware

    @field_validator("to_s")
    @classmethod
    def _after_its_start(cls, to_s: float | None, checked: ValidationInfo) -> float | None:
        start_s = checked.data.get("from_s") or 0
        if to_s is not None and to_s <= start_s:
            raise ValueError(f"expected a time after the start, which is at {start_s:g} s")
        return to_s
