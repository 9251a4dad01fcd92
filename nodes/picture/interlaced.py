"""Interlaced pictures: two fields, half a frame apart in time, woven line by line.

They are kept unless the user wants whole pictures. Enlarging takes each field by itself, as lines
of different times must not be mixed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from nodes.picture.filters import PictureFilter

__all__ = ["deinterlaced", "enlarged_by_fields"]

_PICTURE_NUMBERS: Final = Fraction(1, 25)
"""Time base of the filter, which is given the pictures' numbers: their own times may be missing."""


def deinterlaced(
    pictures: Iterator[av.VideoFrame], *, top_field_first: bool
) -> Iterator[av.VideoFrame]:
    """Yield a whole picture for each interlaced one, with its own pts and duration.

    Motion between the fields decides which lines are kept and which are made anew (libavfilter's
    `bwdif`, of the BBC's w3fdif and yadif). Pictures of another size begin afresh.
    """
    bwdif: PictureFilter | None = None
    form: tuple[int, int, str] | None = None
    times: deque[tuple[int | None, int]] = deque()
    for number, picture in enumerate(pictures):
        own = (picture.width, picture.height, picture.format.name)
        if bwdif is None or own != form:
            if bwdif is not None:
                yield from _timed(bwdif.push(None), times)
            bwdif, form = _bwdif(picture, top_field_first=top_field_first), own
        times.append((picture.pts, picture.duration))
        picture.pts, picture.time_base = number, _PICTURE_NUMBERS
        yield from _timed(bwdif.push(picture), times)
    if bwdif is not None:
        yield from _timed(bwdif.push(None), times)


def _bwdif(picture: av.VideoFrame, *, top_field_first: bool) -> PictureFilter:
    parity = "tff" if top_field_first else "bff"
    options = f"mode=send_frame:parity={parity}:deint=all"
    return PictureFilter(picture, _PICTURE_NUMBERS, lambda graph: [graph.add("bwdif", options)])


def _timed(
    whole: Iterable[av.VideoFrame], times: deque[tuple[int | None, int]]
) -> Iterator[av.VideoFrame]:
    for picture in whole:
        picture.pts, picture.duration = times.popleft()
        yield picture


def enlarged_by_fields(
    picture: av.VideoFrame, scale: int, enlarge: Callable[[av.VideoFrame], av.VideoFrame]
) -> av.VideoFrame:
    """Return an interlaced picture `scale` times as large, no line a mixture of both fields.

    Args:
        picture: its fields woven.
        scale: output pixels per pixel.
        enlarge: gives a picture that is `scale` times as large.
    """
    woven = av.VideoFrame(picture.width * scale, picture.height * scale, picture.format.name)
    for parity in (0, 1):
        field = av.VideoFrame(picture.width, (picture.height + 1) // 2, picture.format.name)
        field.colorspace, field.color_range = picture.colorspace, picture.color_range
        for plane, source in zip(field.planes, picture.planes, strict=True):
            lines, target = _rows(source)[parity::2], _rows(plane)
            used = min(lines.shape[1], target.shape[1])
            target[: len(lines), :used] = lines[:, :used]
            target[len(lines) :, :used] = lines[-1:, :used]
        for plane, source in zip(woven.planes, enlarge(field).planes, strict=True):
            lines, target = _rows(source), _rows(plane)[parity::2]
            used = min(lines.shape[1], target.shape[1])
            target[:, :used] = lines[: len(target), :used]
    woven.pts, woven.dts, woven.duration = picture.pts, picture.dts, picture.duration
    if picture.time_base is not None:
        woven.time_base = picture.time_base
    woven.color_range = picture.color_range
    woven.color_primaries, woven.color_trc = picture.color_primaries, picture.color_trc
    return woven


def _rows(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """View a plane's bytes line by line, padding and all; writing to it changes the picture."""
    rows = np.frombuffer(cast("memoryview[int]", plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height]
