"""Finding the part of a video from which another one was made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter

from nodes.errors import MediaError
from nodes.media.open import open_media, read_packets, video_stream

__all__ = ["find_part", "pictures_of"]

_COMPARED: Final = 25
"""Frames at the start of the part that are compared."""

_WIDTH_PX, _HEIGHT_PX = 32, 24

_SAME_TIME_S: Final = 0.001

Thumbnails = npt.NDArray[np.float32]
"""Shape (N, height, width), luma."""


def find_part(whole: Path, part: Path) -> slice:
    """Return the range of frames of a video from which another one was made, by similarity.

    Args:
        whole: a video.
        part: a video made from consecutive frames of it, at any size.

    Raises:
        MediaError: a file cannot be read, the part has more frames, or its first frames are not
            found.
    """
    count, wanted = _count(whole), _count(part)
    if wanted > count:
        raise MediaError(f"{part} has {wanted} frames, longer than {whole} with {count}")
    if wanted == count:
        return slice(0, count)
    begin, begin_s = _thumbnails(islice(pictures_of(part), min(_COMPARED, wanted)))
    there, there_s = _thumbnails(pictures_of(whole))
    off = [
        float(np.abs(there[first : first + len(begin)] - begin).mean())
        for first in range(len(there) - wanted + 1)
    ]
    first = int(np.argmin(off))
    # A trimmed video starts at 0; equal times mean that its first frames are missing.
    if first and abs(begin_s[0] - there_s[first]) < _SAME_TIME_S:
        raise MediaError(
            f"{part} begins at {begin_s[0]:.3f} s, expected a frame at {there_s[0]:.3f} s as in"
            f" {whole}"
        )
    return slice(first, first + wanted)


def pictures_of(path: Path) -> Iterator[av.VideoFrame]:
    """Yield the decoded pictures of a video.

    Raises:
        MediaError: it cannot be read.
    """
    with open_media(str(path)) as container:
        stream = video_stream(container, str(path))
        try:
            yield from container.decode(stream)
        except FFmpegError as error:
            raise MediaError(f"cannot read {path}: {error}") from error


def _count(path: Path) -> int:
    with open_media(str(path)) as container:
        packets = read_packets(container, video_stream(container, str(path)))
        return sum(1 for packet in packets if packet.size and not packet.is_discard)


def _thumbnails(pictures: Iterator[av.VideoFrame]) -> tuple[Thumbnails, list[float]]:
    """Return reduced pictures, and their times."""
    scaler = VideoReformatter()
    small: list[npt.NDArray[np.uint8]] = []
    times_s: list[float] = []
    for picture in pictures:
        times_s.append(float((picture.pts or 0) * (picture.time_base or 0)))
        gray = scaler.reformat(
            picture, _WIDTH_PX, _HEIGHT_PX, "gray", interpolation=Interpolation.AREA, threads=1
        )
        small.append(np.asarray(gray.to_ndarray(), np.uint8))
    return np.asarray(small, np.float32), times_s
