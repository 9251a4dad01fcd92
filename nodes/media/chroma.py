"""The chroma siting of a video stream."""

from __future__ import annotations

from typing import Final

from av.video import VideoStream

from nodes.media.container_facts import container_facts

__all__ = ["chroma_location"]

_OF_CODEC: Final = {"webp": 2}
"""AVCHROMA_LOC_* of codecs that cannot signal it, but whose encoders average each block."""


def chroma_location(stream: VideoStream) -> int:
    """Return AVCHROMA_LOC_* of a stream, 0 if neither container nor codec gives it."""
    return container_facts(stream).chroma or _OF_CODEC.get(
        stream.codec_context.codec.canonical_name, 0
    )
