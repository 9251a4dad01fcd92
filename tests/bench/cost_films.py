"""Short films of the kinds that people have, and of a crowd, for measuring what the program costs.

People walk and speak before drawn backdrops; the films are coded as the devices code them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.codec.context import Flags
from av.video import VideoStream
from PIL import Image

from nodes.picture.filters import PictureFilter
from tests.bench.composites import RATE, Actor, Clip, Shot, backdrop, compose, load_clip
from tests.bench.films import CAST, FULL_HD, HD, crowd

__all__ = ["KINDS", "Kind", "write_film"]

UHD: Final = (3840, 2160)
PAL: Final = (720, 576)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a film is shot and coded."""

    name: str
    frames: int
    people: tuple[str, ...]
    """The clips of the people in it."""
    shot: Callable[[Sequence[Clip], int], Shot]
    codec: str
    options: dict[str, str]
    rate: int = RATE
    interlaced: bool = False
    shake_px: float = 0.0
    """How far the camera moves to and fro."""


def _cctv(clips: Sequence[Clip], frames: int) -> Shot:
    """Show an empty yard, through whose corner somebody walks in the last tenth of the time."""
    seconds = frames / RATE
    way = ((0.9 * seconds, -150.0, 500.0), (seconds, 500.0, 520.0))
    return Shot(backdrop(*FULL_HD, 61), (Actor("cctv", clips[0], 40.0, way),), frames)


def _street(clips: Sequence[Clip], frames: int) -> Shot:
    return crowd(clips, [24, 32, 40, 52, 66], HD, seed=62, frames=frames)


def _phone(clips: Sequence[Clip], frames: int) -> Shot:
    return crowd(clips, [170, 130], FULL_HD, seed=63, frames=frames)


def _tape(clips: Sequence[Clip], frames: int) -> Shot:
    return crowd(clips, [60, 80], PAL, seed=64, frames=2 * frames)


def _crowd(clips: Sequence[Clip], frames: int) -> Shot:
    return crowd(clips, range(16, 97, 8), FULL_HD, seed=66, frames=frames)


def _large(clips: Sequence[Clip], frames: int) -> Shot:
    return crowd(clips, [220], UHD, seed=65, frames=frames)


KINDS: Final = (
    Kind(
        "CCTV 1080p", 150, CAST[:1], _cctv, "libx264", {"crf": "28", "preset": "veryfast"}, rate=15
    ),
    Kind("street 720p", 50, CAST[:5], _street, "libx264", {"crf": "23", "preset": "veryfast"}),
    Kind(
        "phone 1080p HEVC",
        40,
        CAST[2:4],
        _phone,
        "libx265",
        {"crf": "26", "preset": "ultrafast", "x265-params": "log-level=error"},
        shake_px=6.0,
    ),
    Kind("tape 576i MPEG-2", 50, CAST[4:6], _tape, "mpeg2video", {"b": "6M"}, interlaced=True),
    Kind("4K", 20, CAST[1:2], _large, "libx264", {"crf": "26", "preset": "veryfast"}),
    Kind("crowd 1080p", 40, CAST[:6], _crowd, "libx264", {"crf": "23", "preset": "veryfast"}),
)


def write_film(kind: Kind, media: Path, path: Path) -> None:
    """Compose and encode a film of the clips in `media`; the frames are composed one by one."""
    clips = [load_clip(media / f"clip_{name}.mp4") for name in kind.people]
    with av.open(path, "w", format="matroska") as container:
        stream = container.add_stream(kind.codec, rate=kind.rate, options=kind.options)
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        if kind.interlaced:
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        for index, picture in enumerate(_pictures(kind, clips)):
            frame = av.VideoFrame.from_image(picture)
            if index == 0:
                stream.width, stream.height = picture.size
            frame.pts, frame.time_base = index, Fraction(1, kind.rate)
            if kind.interlaced:
                frame = _top_field_first(frame, kind.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _top_field_first(frame: av.VideoFrame, rate: int) -> av.VideoFrame:
    mark = PictureFilter(
        frame, Fraction(1, rate), lambda graph: [graph.add("setfield", "mode=tff")]
    )
    (marked,) = mark.push(frame)
    return marked


def _pictures(kind: Kind, clips: Sequence[Clip]) -> Iterator[Image.Image]:
    shot = kind.shot(clips, kind.frames)
    rng = np.random.default_rng(0)
    for index in range(kind.frames):
        if kind.interlaced:
            first, second = (compose(shot, 2 * index + late)[0] for late in (0, 1))
            rows = np.asarray(first).copy()
            rows[1::2] = np.asarray(second)[1::2]
            picture = Image.fromarray(rows)
        else:
            picture = compose(shot, index)[0]
        if kind.shake_px:
            x, y = kind.shake_px * np.sin(index / 3), kind.shake_px * np.cos(index / 4)
            matrix = (1, 0, float(x), 0, 1, float(y))
            picture = picture.transform(picture.size, Image.Transform.AFFINE, matrix, 2)
        # A sensor's noise is what keeps encoders and searches for motion busy.
        grain = rng.integers(-2, 3, (picture.height, picture.width, 1), np.int16)
        noisy = np.clip(np.asarray(picture, np.int16) + grain, 0, 255).astype(np.uint8)
        yield Image.fromarray(noisy)
