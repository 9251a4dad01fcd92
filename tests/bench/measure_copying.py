"""What copying saves: `python -m tests.bench.measure_copying [--seconds 120] [--rounds 2]`.

A fixed camera of 1080 lines at 15 frames a second, H.264 with a keyframe every 2 seconds, made in
code: no face at all, and a face for 5 % of the time. Each film is restored with `encode.copy` true
and false in turn, each run in a process of its own, and CPU seconds are compared.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt

from tests.bench.cpu_time import watch
from tests.support import ROOT

WIDTH_PX, HEIGHT_PX, RATE, KEYFRAME_S = 1920, 1080, 15, 2
SHARE: Final = 0.05
PORTRAIT: Final = ROOT / "samples" / "portrait.mp4"


def film(path: Path, seconds: float, share: float) -> Path:
    """Write a film whose middle shows a face for this share of the time."""
    options = {"crf": "23", "preset": "veryfast", "g": str(RATE * KEYFRAME_S), "sc_threshold": "0"}
    count = round(seconds * RATE)
    first, last = count // 2, count // 2 + round(count * share)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        faces = _faces()
        for number, rgb in enumerate(_backdrops(count)):
            if first <= number < last:
                face = next(faces)
                rgb[400 : 400 + face.shape[0], 900 : 900 + face.shape[1]] = face
            picture = av.VideoFrame.from_ndarray(rgb).reformat(format="yuv420p")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _backdrops(count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield a still scene with the noise of a sensor."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(40, 200, (HEIGHT_PX // 40, WIDTH_PX // 40, 3), np.uint8)
    scene = np.kron(coarse, np.ones((40, 40, 1), np.uint8)).astype(np.int16)
    noise = rng.normal(0, 2, (8, HEIGHT_PX, WIDTH_PX, 1)).astype(np.int16)
    for number in range(count):
        yield np.clip(scene + noise[number % len(noise)], 0, 255).astype(np.uint8)


def _faces() -> Iterator[npt.NDArray[np.uint8]]:
    while True:
        with av.open(PORTRAIT) as container:
            for picture in container.decode(video=0):
                face = picture.reformat(width=240, height=240).to_ndarray(format="rgb24")
                yield face.astype(np.uint8)


def cpu_s(source: Path, out: Path, *settings: str) -> float:
    """Return the CPU seconds of restoring a film."""
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "pipeline", "enhance", str(source), "-o", str(out)]
    with subprocess.Popen(
        [*command, "--runner", "local", "--overwrite", "--quiet", *words],
        stdout=subprocess.DEVNULL,
        text=True,
    ) as run:
        used = watch(run)
    if run.returncode:
        raise SystemExit(f"{source}: the run failed")
    return used.cpu_s


def main() -> None:
    """Print a row for each film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, share in (("no face", 0.0), (f"a face for {SHARE:.0%}", SHARE)):
            source = film(folder / "film.mp4", given.seconds, share)
            spent: dict[str, list[float]] = {"true": [], "false": []}
            sizes: dict[str, int] = {}
            for _ in range(given.rounds):
                for copies, times in spent.items():
                    out = folder / copies / "film.mp4"
                    times.append(cpu_s(source, out, f"encode.copy={copies}", *given.settings))
                    sizes[copies] = out.stat().st_size
            copied, encoded = (min(times) for times in spent.values())
            original = source.stat().st_size
            print(  # noqa: T201
                f"{name}: {copied:.1f} of {encoded:.1f} CPU s, {copied / encoded:.2f};"
                f" size {sizes['true'] / original:.3f}, encoded {sizes['false'] / original:.3f}"
                " of the source's",
                flush=True,
            )


if __name__ == "__main__":
    main()
