"""Peak memory of whole runs, in a process each: by size of picture, scale and length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import av
import numpy as np
import pytest
from av.video import VideoStream
from PIL import Image

from tests.support import ROOT

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

RESULTS: Final = Path(__file__).parent / "results"
OFF: Final = ("--runner", "local", "--set", "run.threads=2")


def film(path: Path, width_px: int, height_px: int, frames: int) -> Path:
    """Noise that moves: nothing that an encoder could leave out."""
    noise = np.random.default_rng(0).integers(0, 256, (height_px + 64, width_px, 3), np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        for number in range(frames):
            picture = noise[number % 64 :][:height_px]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def four_faces(path: Path, frames: int) -> Path:
    """The portrait of the samples in each quarter of a 1080p picture, with a camera's noise."""
    with av.open(ROOT / "samples" / "portrait.mp4") as container:
        shots = [frame.to_image() for frame in container.decode(video=0)]
    noise = np.random.default_rng(0).integers(-4, 5, (1080 + 64, 1920, 1), np.int16)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number in range(frames):
            picture = Image.new("RGB", (1920, 1080))
            for quarter in range(4):
                shot = shots[(number + 17 * quarter) % len(shots)].resize((960, 720))
                middle = shot.crop((0, 90, 960, 630))
                picture.paste(middle, (quarter % 2 * 960, quarter // 2 * 540))
            noisy = np.asarray(picture).astype(np.int16) + noise[number * 7 % 64 :][:1080]
            frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def animation(path: Path) -> Path:
    pictures = [Image.new("P", (4000, 4000), number % 3) for number in range(64)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    return path


def photo(path: Path) -> Path:
    Image.new("RGB", (11_600, 8_700), (90, 80, 70)).save(path)
    return path


CASES: Final[dict[str, tuple[str, Callable[[Path], Path], tuple[str, ...]]]] = {
    "1080p, four faces, 1 s": ("mp4", lambda path: four_faces(path, 24), ()),
    "1080p, four faces, 8 s": ("mp4", lambda path: four_faces(path, 200), ()),
    "1080p, 10 s": ("mp4", lambda path: film(path, 1920, 1080, 250), ()),
    "1080p, 60 s": ("mp4", lambda path: film(path, 1920, 1080, 1500), ()),
    "4K, 4 s": ("mp4", lambda path: film(path, 3840, 2160, 100), ()),
    "4K at x2, 2 s": ("mp4", lambda path: film(path, 3840, 2160, 50), ("--scale", "2")),
    "GIF 4000x4000, 64 pictures": ("gif", animation, ()),
    "PNG of 100 megapixels": ("png", photo, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_peak_memory(case: str, tmp_path: Path) -> None:
    suffix, make, options = CASES[case]
    source = make(tmp_path / f"a.{suffix}")
    words = [sys.executable, "-m", "pipeline", "enhance", str(source)]
    words += ["-o", str(tmp_path / f"b.{suffix}"), *OFF, *options]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "memory.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    known[case] = round(usage.ru_maxrss / 1024)
    file.write_text(json.dumps(known, indent=2) + "\n")
