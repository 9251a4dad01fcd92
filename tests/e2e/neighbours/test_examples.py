"""The examples of docs/composing.md with OpenCV, PyAV, FFmpeg, y4m and Ray Data themselves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from tests.support import DATA, ROOT
from tests.support.faces import codes_of, portrait
from tests.support.media import Video, decode_all, make_video

pytestmark = pytest.mark.filterwarnings("default")

PAGE = (ROOT / "docs" / "composing.md").read_text(encoding="utf-8")


def block(holding: str, language: str = "") -> str:
    """Return the only code block of a language that holds a text."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = (text for kind, text in blocks if kind == language and holding in text)
    return found


def shell(line: str, folder: Path) -> None:
    """Run a line of the page in a folder, with the real programs on PATH."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    (programs / "aminet").symlink_to(Path(sys.executable).with_name("aminet"))
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def python(text: str, folder: Path) -> str:
    """Run a block of the page as a program in a folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ffmpeg_by_a_pipe(tmp_path: Path) -> None:
    make_video(tmp_path / "in.mp4", Video(frames=20))
    shell(block("ffmpeg -i in.mp4 -c copy"), tmp_path)
    assert len(decode_all(tmp_path / "out.mkv")) == 20


@pytest.mark.slow
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p16le"])
def test_y4m_by_a_pipe(tmp_path: Path, pix_fmt: str) -> None:
    """VapourSynth has no package that pip can install here: FFmpeg writes the same y4m."""
    source = make_video(tmp_path / "in.mkv", Video(frames=10, codec="ffv1", pix_fmt="yuv420p"))
    line = block("vspipe -c y4m script.vpy -")
    y4m = f"ffmpeg -i in.mkv -pix_fmt {pix_fmt} -strict -1 -f yuv4mpegpipe -"
    assert "vspipe -c y4m script.vpy -" in line
    line = line.replace("vspipe -c y4m script.vpy -", y4m)
    assert "x264 --demuxer y4m -o out.264 -" in line
    back = f"ffmpeg -f yuv4mpegpipe -i - -c:v ffv1 -pix_fmt {pix_fmt} out.mkv"
    shell(line.replace("x264 --demuxer y4m -o out.264 -", back), tmp_path)
    unit = {"yuv420p": 1, "yuv420p10le": 4, "yuv444p16le": 256}[pix_fmt]
    for one, other in zip(decode_all(tmp_path / "out.mkv"), decode_all(source), strict=True):
        assert one.format.name == pix_fmt
        luma, given = (codes_of(frame)[0].astype(int) for frame in (one, other))
        assert np.abs(luma - given * unit).max() < unit


@pytest.mark.slow
def test_arrays_of_opencv(tmp_path: Path) -> None:
    (tmp_path / "in.jpg").write_bytes((DATA / "face_woman.jpg").read_bytes())
    python(block("cv2.imread", "python"), tmp_path)
    with Image.open(DATA / "face_woman.jpg") as before, Image.open(tmp_path / "out.png") as after:
        assert after.size == (2 * before.width, 2 * before.height)


@pytest.mark.slow
def test_frames_of_pyav(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", Video(frames=12))
    said = python(block("video.decode(video=0)", "python"), tmp_path)
    with av.open(source) as container:
        times = [f"{frame.time} {frame.format.name}" for frame in container.decode(video=0)]
    assert said.splitlines() == times


@pytest.mark.slow
def test_crops_in_ray_data(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    for number in range(5):
        portrait(64, turn_deg=number).save(tmp_path / "faces" / f"{number}.png")
    python(block("ray.data.read_images", "python"), tmp_path)
    made = [np.asarray(Image.open(path)) for path in (tmp_path / "restored").glob("*.png")]
    assert [picture.shape for picture in made] == [(64, 64, 3)] * 5
    given = [np.asarray(portrait(64, turn_deg=number), int) for number in range(5)]
    for picture in made:
        nearest = min(float(np.abs(picture - one).mean()) for one in given)
        assert 0.5 < nearest < 20
