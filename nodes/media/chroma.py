"""Reading the chroma siting of a video stream."""

from __future__ import annotations

import io
import re
from typing import Final

import av
from av.error import FFmpegError
from av.video import VideoStream

__all__ = ["chroma_location"]

_SITING: Final = re.compile(rb"\x55\xb7\x81(.)\x55\xb8\x81(.)", re.DOTALL)
"""Matroska's ChromaSitingHorz and ChromaSitingVert."""

_LOCATIONS: Final = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}
"""Matroska's numbers -> AVCHROMA_LOC_*."""

_OF_CODEC: Final = {"webp": 2}
"""Codecs whose encoders average each block, and which cannot say so."""


def chroma_location(stream: VideoStream) -> int:
    """Return AVCHROMA_LOC_* of a stream, 0 if neither container nor codec gives it.

    PyAV has no attribute for it, so it is read from a Matroska header that libav writes.
    """
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as container:
            container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
            written = _SITING.search(header.getvalue())
    except (FFmpegError, ValueError):
        written = None
    if written is None:
        return _OF_CODEC.get(stream.codec_context.codec.canonical_name, 0)
    return _LOCATIONS.get((written[1][0], written[2][0]), 0)
