"""A film of a fixed camera, as long as wanted: an empty yard, a van now and then, faces seldom.

1080 lines at 15 frames a second, H.264 as recorders write it: a keyframe every 2 seconds, no
B-frames. A minute without people and a visit are each encoded once; the film is made of their
packets, so that hours of it take seconds to make.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video import VideoStream
from PIL import Image

from tests.bench.composites import RATE as CLIP_RATE
from tests.bench.composites import Actor, Shot, backdrop, compose, load_clip

__all__ = ["RATE", "VISIT_S", "write_cctv"]

SIZE_PX: Final = (1920, 1080)
RATE: Final = 15
GOP_S: Final = 2
EMPTY_S: Final = 60
VISIT_S: Final = 10
VAN_S: Final = (20, 30)
"""When the van passes in the minute without people."""
_OPTIONS: Final = {
    "crf": "26",
    "preset": "veryfast",
    "g": str(RATE * GOP_S),
    "bf": "0",
    "sc_threshold": "0",
}
Planes = npt.NDArray[np.uint8]


def write_cctv(path: Path, media: Path, seconds: int, visits: int) -> Path:
    """Write a film with visits of `VISIT_S`, evenly distributed.

    Args:
        path: to write.
        media: folder with `clip_woman_beige.mp4`.
        seconds: length, a multiple of `GOP_S`.
        visits: how many.
    """
    empty, visit = path.with_suffix(".empty.mp4"), path.with_suffix(".visit.mp4")
    _encode(_yard(), empty)
    if visits:
        _encode(_visit(media), visit)
    gap_s = (seconds - VISIT_S * visits) // (visits + 1) // GOP_S * GOP_S
    pieces: list[tuple[Path, int]] = []
    for _ in range(visits):
        pieces += [*_minutes(empty, gap_s), (visit, VISIT_S)]
    rest_s = seconds - sum(length_s for _, length_s in pieces)
    _join([*pieces, *_minutes(empty, rest_s)], path)
    for part in (empty, visit):
        part.unlink(missing_ok=True)
    return path


def _minutes(empty: Path, seconds: int) -> list[tuple[Path, int]]:
    whole, rest = divmod(seconds, EMPTY_S)
    return [(empty, EMPTY_S)] * whole + ([(empty, rest)] if rest else [])


def _yard() -> Iterator[av.VideoFrame]:
    """Yield a minute without people."""
    scene = backdrop(*SIZE_PX, 61)
    still, noise = _planes(scene), _noise()
    van = np.asarray(backdrop(360, 180, 62))
    for number in range(EMPTY_S * RATE):
        planes = still
        if VAN_S[0] <= number / RATE < VAN_S[1]:
            way = (number / RATE - VAN_S[0]) / (VAN_S[1] - VAN_S[0])
            with_van = scene.copy()
            with_van.paste(Image.fromarray(van), (int(2280 * way) - 360, 700))
            planes = _planes(with_van)
        yield _noisy(planes, noise[number % len(noise)])


def _visit(media: Path) -> Iterator[av.VideoFrame]:
    """Yield a person who walks through the yard, the face 40 px wide."""
    way = ((0.0, -60.0, 480.0), (float(VISIT_S), 1980.0, 520.0))
    actor = Actor("visitor", load_clip(media / "clip_woman_beige.mp4"), 40.0, way)
    shot, noise = Shot(backdrop(*SIZE_PX, 61), (actor,), VISIT_S * CLIP_RATE), _noise()
    for number in range(VISIT_S * RATE):
        picture, _ = compose(shot, number * CLIP_RATE // RATE)
        yield _noisy(_planes(picture), noise[number % len(noise)])


def _noise() -> npt.NDArray[np.int16]:
    """Return a few pictures of a sensor's noise, for luma."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 2, (8, SIZE_PX[1], SIZE_PX[0])).round().astype(np.int16)


def _planes(picture: Image.Image) -> Planes:
    frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p")
    return frame.to_ndarray().astype(np.uint8)


def _noisy(planes: Planes, noise: npt.NDArray[np.int16]) -> av.VideoFrame:
    made = planes.copy()
    luma = made[: SIZE_PX[1]]
    luma[:] = np.clip(luma + noise, 0, 255)
    return av.VideoFrame.from_ndarray(made, format="yuv420p")


def _encode(frames: Iterator[av.VideoFrame], path: Path) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=_OPTIONS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = SIZE_PX
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _join(pieces: list[tuple[Path, int]], path: Path) -> None:
    """Write the packets of the first seconds of each piece one after the other."""
    written = 0
    with av.open(path, "w") as target:
        with av.open(pieces[0][0]) as first:
            stream = target.add_stream_from_template(first.streams.video[0])
        for piece, length_s in pieces:
            with av.open(piece) as source:
                step = round(1 / (RATE * (source.streams.video[0].time_base or 1)))
                for number, packet in enumerate(source.demux(video=0)):
                    if number == length_s * RATE or not packet.size:
                        break
                    packet.pts = packet.dts = (written + number) * step
                    packet.stream = stream
                    target.mux(packet)
            written += length_s * RATE
