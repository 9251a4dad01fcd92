"""Longer footage with real faces, made of the sample clips."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.support import SAMPLES

__all__ = ["RATE", "four_faces", "looped"]

RATE = 25

_Rgb = npt.NDArray[np.uint8]


def looped(path: Path, frames: int, *, gop_frames: int = 20, rate: int = RATE) -> Path:
    """Write `portrait.mp4`, one face of 36 px between the eyes, played to and fro."""
    pictures = _pictures("portrait")
    return _write(path, islice(_to_and_fro(pictures, 0), frames), gop_frames, rate)


def four_faces(path: Path, frames: int, *, gop_frames: int = 50, rate: int = RATE) -> Path:
    """Write 1280x720 with the portrait in four places, each at another moment."""
    pictures = _pictures("portrait")
    players = [_to_and_fro(pictures, start) for start in (0, 20, 40, 60)]
    height, width = pictures[0].shape[:2]
    places = [(x, y) for y in (60, 720 - 60 - height) for x in (160, 1280 - 160 - width)]
    rows, columns = np.mgrid[0:720, 0:1280]
    ground = np.stack([60 + rows // 12, 70 + columns // 24, 90 + rows // 18], axis=2)

    def scenes() -> Iterator[_Rgb]:
        for _ in range(frames):
            scene = ground.astype(np.uint8)
            for (x, y), player in zip(places, players, strict=True):
                scene[y : y + height, x : x + width] = next(player)
            yield scene

    return _write(path, scenes(), gop_frames, rate)


def _pictures(name: str) -> list[_Rgb]:
    with av.open(SAMPLES / f"{name}.mp4") as container:
        frames = list(container.decode(video=0))
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def _to_and_fro(pictures: list[_Rgb], start: int) -> Iterator[_Rgb]:
    """Without a jump: a cut would be a new face."""
    return islice(cycle([*pictures, *pictures[-2:0:-1]]), start, None)


def _write(path: Path, pictures: Iterator[_Rgb], gop_frames: int, rate: int) -> Path:
    first = next(pictures)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "sc_threshold": "0"}
        stream.codec_context.gop_size = gop_frames
        stream.codec_context.time_base = Fraction(1, rate)
        for picture in (first, *pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
