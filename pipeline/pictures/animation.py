"""Writing animations (GIF, APNG, WebP) with the times of the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video import VideoStream

from nodes.errors import MediaError
from nodes.media.picture_files import pillow_image
from nodes.media.picture_formats import AnimationFormat, animation_format
from nodes.media.urls import file_url
from nodes.picture.filters import PictureFilter
from nodes.picture.formats import PictureConverter
from nodes.types import ColorTags, VideoInfo
from pipeline.pictures.losses import conversion
from pipeline.pictures.restored import RestoredPicture

__all__ = ["write_animation"]

_TICK: Final = Fraction(1, 100)
"""Time base for the filter, which gets the numbers of pictures as pts."""


def write_animation(
    pictures: Iterable[RestoredPicture],
    target: Path,
    source: str,
    info: VideoInfo,
    last_duration_ticks: int,
    losses: Counter[str],
) -> tuple[list[int], Fraction]:
    """Write an animation.

    Args:
        pictures: in order.
        target: the file to write.
        source: path or URL of the source, from which the number of repetitions is taken.
        info: the encoded video.
        last_duration_ticks: duration of the last picture, in ticks of the source.
        losses: gets what is lost, and of how many pictures.

    Returns:
        The pts of each picture, and their time base.
    """
    kind = animation_format(target)
    assert kind is not None  # noqa: S101 - `output_kind_of` saw to that
    tick = kind.tick_s or info.time_base
    times: list[int] = []
    # These formats have no start time, so that times begin at 0.
    first_pts: int | None = None
    settings = _repeats(source, kind)
    last_s = last_duration_ticks * info.time_base
    if kind.final_delay:
        settings["final_delay"] = str(round(last_s / kind.tick_s) if kind.tick_s else last_s)
    with av.open(file_url(target), "w", format=kind.muxer, container_options=settings) as container:
        stream = container.add_stream(kind.encoder, rate=25, options=dict(kind.options))
        assert isinstance(stream, VideoStream)  # noqa: S101 - for the type checker
        context = stream.codec_context
        context.width, context.height = info.width_px, info.height_px
        context.time_base = tick
        palette: _Palette | None = None
        converter: PictureConverter | None = None
        for picture in pictures:
            first_pts = picture.pts if first_pts is None else first_pts
            frame = _frame(picture)
            samples = picture.photo.samples
            if (lost := conversion(source, picture.source_format, samples, kind)) is not None:
                losses[lost] += 1
            if kind.palette:
                palette = palette or _Palette(frame, dither=not _has_palette(source))
                frame = palette.apply(frame)
            if converter is None:
                context.pix_fmt = kind.pix_fmt or frame.format.name
                converter = PictureConverter(
                    info.width_px, info.height_px, context.pix_fmt, ColorTags()
                )
            frame = converter.convert(frame)
            start, end = (
                round((pts - first_pts) * info.time_base / tick)
                for pts in (picture.pts, picture.pts + picture.duration_ticks)
            )
            frame.pts, frame.time_base, frame.duration = start, tick, max(1, end - start)
            times.append(start)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if kind.set_last_duration is not None:
        with target.open("r+b") as file:
            kind.set_last_duration(file, round(last_s / tick))
    return times, tick


def _repeats(source: str, kind: AnimationFormat) -> dict[str, str]:
    """Return the muxer's option for the number of repetitions; infinite for a video."""
    loops: int | None = 0
    if animation_format(source) is not None:
        # A video that is named like a picture is still a video.
        with suppress(MediaError), pillow_image(Path(source)) as image:
            loops = image.info.get("loop")
    return {kind.loop_option: str(kind.loop_once if loops is None else loops)}


def _has_palette(source: str) -> bool:
    known = animation_format(source)
    return known is not None and known.palette


def _frame(picture: RestoredPicture) -> av.VideoFrame:
    image = picture.photo.image
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    return av.VideoFrame.from_ndarray(
        np.asarray(image), "rgba" if image.mode == "RGBA" else "rgb24"
    )


class _Palette:
    """Converts each picture to an optimal palette of 256 colours."""

    def __init__(self, first: av.VideoFrame, *, dither: bool) -> None:
        dithering = "sierra2_4a" if dither else "none"

        def add(graph: Graph) -> list[FilterContext]:
            split, make = graph.add("split"), graph.add("palettegen", "stats_mode=single")
            use = graph.add("paletteuse", f"new=1:dither={dithering}")
            split.link_to(make, 1, 0)
            make.link_to(use, 0, 1)
            return [split, use]

        self._filter = PictureFilter(first, _TICK, add)
        self._number = 0

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture with its palette."""
        frame.pts, frame.time_base = self._number, _TICK
        self._number += 1
        (result,) = self._filter.push(frame)
        return result
