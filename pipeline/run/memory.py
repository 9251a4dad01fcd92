"""Bounding memory in bytes: how many frames may be in flight, and whether a video fits at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from av.video.format import VideoFormat

from nodes.errors import MediaError
from nodes.types import VideoInfo

__all__ = ["FACE_BYTES", "check_fits", "frames_at_once", "machine_bytes", "picture_bytes"]

FEWEST_FRAMES: Final = 2
"""With fewer, nodes would wait for each other."""

FACE_BYTES: Final = 32_000_000
"""Default for the faces in flight in one process, bytes: 10 large ones, more than a batch."""

KEPT_PICTURES: Final = 4
"""Pictures that decoders keep as references and encoders as lookahead, besides one per thread."""

_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def picture_bytes(info: VideoInfo) -> int:
    """Return the bytes of one decoded picture."""
    bits = VideoFormat(info.pix_fmt).padded_bits_per_pixel
    return -(-info.width_px * info.height_px * bits // 8)


def frames_at_once(infos: Iterable[VideoInfo], *, most_frames: int, most_bytes: int | None) -> int:
    """Return how many frames may be in flight.

    Each exists as it was read and, for a part of the time, as it will be written.

    Args:
        infos: the videos between the nodes of a graph, the source's first.
        most_frames: most frames.
        most_bytes: most bytes, except that two frames are always allowed; None for no limit.
    """
    if most_bytes is None:
        return most_frames
    read, written = _read_and_written(infos)
    return min(most_frames, max(FEWEST_FRAMES, most_bytes // (read + written)))


def check_fits(infos: Iterable[VideoInfo], *, threads: int, name: str) -> None:
    """Check that this machine has the memory for the smallest number of frames.

    Args:
        infos: the videos between the nodes of a graph, the source's first.
        threads: CPU threads of decoder and encoder, each of which holds a picture.
        name: name of the video.

    Raises:
        MediaError: it has not; the message has the figures.
    """
    read, written = _read_and_written(infos)
    needed = (read + written) * (FEWEST_FRAMES + KEPT_PICTURES + threads)
    there = machine_bytes()
    if needed > there:
        raise MediaError(
            f"{name}: its pictures are too large for this machine: they take about"
            f" {needed / 1e9:.1f} GB at least, and it has {there / 1e9:.1f} GB; use a larger"
            " machine, fewer threads (run.threads) or a smaller scale"
        )


def machine_bytes() -> int:
    """Return the memory that this process may use: the machine's, or its container's limit."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in map(Path, _LIMITS):
        try:
            found.append(int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # not this kind of system, or `max`
    return min(found)


def _read_and_written(infos: Iterable[VideoInfo]) -> tuple[int, int]:
    read, *others = map(picture_bytes, infos)
    return read, max(others, default=read)
