"""Interlaced pictures: two fields, half a frame apart in time, woven line by line.

They are kept unless the user wants whole pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from nodes.picture.filters import PictureFilter
from nodes.picture.layout import pixel_layout, plane_codes
from nodes.picture.regions import copy_tags

__all__ = ["deinterlaced", "of_height", "whole_fields"]

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
    last_layout: tuple[int, int, str] | None = None
    times: deque[tuple[int | None, int]] = deque()
    for number, picture in enumerate(pictures):
        own = (picture.width, picture.height, picture.format.name)
        if bwdif is None or own != last_layout:
            if bwdif is not None:
                yield from _timed(bwdif.push(None), times)
            bwdif, last_layout = _bwdif(picture, top_field_first=top_field_first), own
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


def whole_fields(picture: av.VideoFrame) -> av.VideoFrame:
    """Return an interlaced picture with both fields, and their chroma, of the same height.

    Some lines more at the bottom complete it, each the last one of its own field; swscale would
    read what lies behind the picture. A picture that is complete is returned as it is.
    """
    lines_of_both = 2 << pixel_layout(picture.format.name).log2_sub_y
    return of_height(picture, -(-picture.height // lines_of_both) * lines_of_both)


def of_height(picture: av.VideoFrame, height_px: int) -> av.VideoFrame:
    """Return an interlaced picture cut off at the bottom, or completed; see `whole_fields`."""
    if picture.height == height_px:
        return picture
    made = av.VideoFrame(picture.width, height_px, picture.format.name)
    for plane, source in zip(made.planes, picture.planes, strict=True):
        lines, target = _lines(source), _lines(plane)
        used = min(lines.shape[1], target.shape[1])
        wanted = np.arange(len(target))
        last = len(lines) - 1
        kept = np.where(wanted <= last, wanted, last - (wanted - last) % 2)
        target[:, :used] = lines[kept, :used]
    copy_tags(picture, made)
    return made


def _lines(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """View a plane's bytes line by line, padding and all; writing to it changes the picture."""
    return plane_codes(plane, np.uint8)[: plane.height]
