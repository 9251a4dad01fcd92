"""Everything that a packet says, as text and bytes to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, cast

import av
import numpy as np

from nodes.errors import UnsupportedFormatError
from nodes.picture.layout import pixel_layout, plane_samples

__all__ = ["content"]

_PICTURE_FACTS: Final = (
    *("pts", "dts", "duration", "time_base", "pict_type", "key_frame", "interlaced_frame"),
    *("colorspace", "color_range", "color_primaries", "color_trc", "width", "height", "format"),
)


def content(value: Any) -> Any:
    """Return everything that a packet says, to compare it with another or with itself later."""
    if isinstance(value, av.VideoFrame):
        return [*(str(getattr(value, name)) for name in _PICTURE_FACTS), _samples(value)]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return [content(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Mapping):
        return {key: content(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [content(item) for item in cast("Sequence[Any]", value)]
    return value


def _samples(picture: av.VideoFrame) -> list[bytes]:
    """Return a picture's samples, without what pads its lines where that is known."""
    try:
        layout = pixel_layout(picture.format.name)
    except UnsupportedFormatError:
        return [bytes(cast("bytes", plane)) for plane in picture.planes]
    planes = range(len(picture.planes))
    return [plane_samples(picture, layout, index).tobytes() for index in planes]
