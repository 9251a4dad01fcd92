"""Animated pictures: GIF, APNG and WebP with every picture's own time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.filter import Graph
from av.video import VideoStream

from nodes.media.picture_files import pillow_image
from nodes.types import VideoInfo
from pipeline.pictures.restored import RestoredPicture

__all__ = ["ANIMATIONS", "write_animation"]

ANIMATIONS: Final = {".gif": "gif", ".apng": "apng", ".png": "apng", ".webp": "webp"}
"""Suffix -> libav's name of the muxer."""

_TICKS: Final = {"gif": Fraction(1, 100), "webp": Fraction(1, 1000)}
"""What a file counts time in; APNG has fractions."""

_ENCODERS: Final = {"gif": "gif", "apng": "apng", "webp": "libwebp_anim"}


def write_animation(
    pictures: Iterator[RestoredPicture],
    target: Path,
    source: str,
    info: VideoInfo,
    last_duration_ticks: int,
) -> tuple[list[int], Fraction]:
    """Write an animation.

    Args:
        pictures: in order.
        target: the file.
        source: what it was made of; says how often it is repeated.
        info: the encoded video.
        last_duration_ticks: how long the last picture is shown, in ticks of the source.

    Returns:
        When each picture is shown, and what these times are counted in.
    """
    form = ANIMATIONS[target.suffix.lower()]
    tick = _TICKS.get(form, info.time_base)
    times: list[int] = []
    # An animation that begins late would show nothing until then, which none of these can say.
    first_pts: int | None = None
    settings = _repeats(source, form)
    last_s = last_duration_ticks * info.time_base
    if form != "webp":
        settings["final_delay"] = str(last_s if form == "apng" else round(100 * last_s))
    with av.open(target, "w", format=form, container_options=settings) as container:
        options = {"lossless": "1"} if form == "webp" else {}
        stream = container.add_stream(_ENCODERS[form], rate=25, options=options)
        assert isinstance(stream, VideoStream)  # noqa: S101 - for the type checker
        context = stream.codec_context
        context.width, context.height = info.width_px, info.height_px
        context.time_base = tick
        palette: _Palette | None = None
        for picture in pictures:
            first_pts = picture.pts if first_pts is None else first_pts
            frame = _frame(picture)
            if form == "gif":
                palette = palette or _Palette(frame, dither=not source.lower().endswith(".gif"))
                frame = palette.apply(frame)
            elif form == "webp":
                frame = frame.reformat(format="bgra")
            if not times:
                context.pix_fmt = frame.format.name
            elif frame.format.name != context.pix_fmt:
                frame = frame.reformat(format=context.pix_fmt)
            start, end = (
                round((pts - first_pts) * info.time_base / tick)
                for pts in (picture.pts, picture.pts + picture.duration_ticks)
            )
            frame.pts, frame.time_base, frame.duration = start, tick, max(1, end - start)
            times.append(start)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return times, tick


def _repeats(source: str, form: str) -> dict[str, str]:
    """Return the muxer's option for how often the animation is shown; a video becomes endless."""
    loops: int | None = 0
    if Path(source).suffix.lower() in ANIMATIONS:
        with pillow_image(Path(source)) as image:
            loops = image.info.get("loop")
    if form == "gif":
        return {"loop": str(-1 if loops is None else loops)}
    return {"plays" if form == "apng" else "loop": str(1 if loops is None else loops)}


def _frame(picture: RestoredPicture) -> av.VideoFrame:
    image = picture.photo.image
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    return av.VideoFrame.from_ndarray(
        np.asarray(image), "rgba" if image.mode == "RGBA" else "rgb24"
    )


class _Palette:
    """Brings each picture to the 256 colours that suit it best."""

    def __init__(self, first: av.VideoFrame, *, dither: bool) -> None:
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=Fraction(1, 100)
        )
        split = self._graph.add("split")
        make = self._graph.add("palettegen", "stats_mode=single")
        use = self._graph.add("paletteuse", f"new=1:dither={'sierra2_4a' if dither else 'none'}")
        sink = self._graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(make, 1, 0)
        make.link_to(use, 0, 1)
        use.link_to(sink)
        self._graph.configure()
        self._number = 0

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture in its palette."""
        frame.pts, frame.time_base = self._number, Fraction(1, 100)
        self._number += 1
        self._graph.push(frame)
        result = self._graph.pull()
        assert isinstance(result, av.VideoFrame)  # noqa: S101 - for the type checker
        return result
