"""Decoding by the card: its pictures, rate and CPU time, beside the software decoder's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video import VideoStream

from nodes.decode.hardware_reader import HardwareReader
from nodes.media.reader import PictureReader
from nodes.picture.digest import picture_sha256
from tests.bench.gpu.plan import Plan

__all__ = ["decoding_rates"]

_WARM_UP: Final = 4
"""Pictures whose time is not counted: the first ones are compared."""

KINDS: Final = {
    "H.264": ("libx264", "yuv420p", {"preset": "veryfast"}),
    "HEVC 10 bit": (
        "libx265",
        "yuv420p10le",
        {"preset": "ultrafast", "x265-params": "log-level=0"},
    ),
    "VP9": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
}


def decoding_rates(plan: Plan) -> dict[str, Any]:
    """Return CPU ms a frame and frames/s of both decoders, and whether all pictures agree."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (codec, pix_fmt, options) in KINDS.items():
            path = Path(folder) / "film.mkv"
            _write(path, codec, pix_fmt, options, tiny=plan.tiny)
            found[name] = _compared(path)
    return found


def _compared(path: Path) -> dict[str, Any]:
    software, wanted = _read(PictureReader(str(path), 1))
    reader = HardwareReader(str(path), 1, lambda *_: None, None, "auto")
    card, digests = _read(reader)
    return {
        "software": software,
        "card": card,
        "cpu of the card over software": round(card["cpu_ms"] / software["cpu_ms"], 3),
        "same pictures": digests == wanted,
        "why_software": reader.why_software,
    }


def _read(reader: PictureReader) -> tuple[dict[str, float], list[str]]:
    """Return times a frame, without those of the first frames, and the digests of all pictures."""
    digests: list[str] = []
    with closing(reader):
        pictures = reader.pictures()
        digests += [picture_sha256(picture) for picture in islice(pictures, _WARM_UP)]
        spent_s = cpu_s = 0.0
        count = 0
        while True:
            started, cpu_started = time.perf_counter(), time.process_time()
            picture = next(pictures, None)
            spent_s += time.perf_counter() - started
            cpu_s += time.process_time() - cpu_started
            if picture is None:
                break
            count += 1
            digests.append(picture_sha256(picture))
    frames = max(1, count)
    return {
        "cpu_ms": round(1000 * cpu_s / frames, 3),
        "frames_a_s": round(frames / max(spent_s, 1e-9), 1),
    }, digests


def _write(path: Path, codec: str, pix_fmt: str, options: dict[str, str], *, tiny: bool) -> None:
    width_px, height_px, frames = (128, 96, 12) if tiny else (1920, 1080, 60)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, pix_fmt
        for number, picture in enumerate(_moving(width_px, height_px, frames)):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))


def _moving(width_px: int, height_px: int, frames: int) -> Iterator[av.VideoFrame]:
    """Yield a texture that moves, with a sensor's noise."""
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 256, (height_px // 8 + 8, width_px // 8 + frames, 3), np.uint8)
    wide = texture.repeat(8, axis=0).repeat(8, axis=1)[:height_px]
    for number in range(frames):
        noise = rng.integers(0, 4, (height_px, width_px, 1), np.uint8)
        shown = wide[:, 2 * number : 2 * number + width_px] // 2 + noise
        yield av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
