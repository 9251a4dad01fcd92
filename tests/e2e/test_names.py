"""Names of files that mean something to libav, to a shell or to a terminal: they are names here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

import pipeline
from nodes.media.open import open_media
from nodes.media.picture_files import is_numbered
from tests.support.media import Video, decode_all, make_video

# MediaPipe warns of its own dependencies.
pytestmark = pytest.mark.filterwarnings("default")

OFF = ("enhance.weights=bicubic", "run.threads=1")
TINY = Video(width_px=64, height_px=48, frames=3)
NAMES = (
    "12:30:05.mp4",
    "concat:a.mp4",
    "100%d.mp4",
    "50%.mp4",
    "%03d.mkv",
    "-y.mp4",
    "gate[1].mp4",
    "[red]gate.mp4",
    "*?{a,b}.mp4",
    "it's \"5\" o'clock #2;|.mp4",
    "two\nlines.mp4",
    os.fsdecode(b"caf\xe9.mp4"),
    "kamera-ü-日本.ts",
)


def test_any_name_is_read_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for name in NAMES:
        make_video(Path(f"plain{Path(name).suffix}"), TINY).rename(name)
    # libav takes a scheme for one only where no folder comes before it.
    pipeline.enhance(NAMES, "../out", runner="local", settings=OFF)
    monkeypatch.chdir(tmp_path / "out")
    for name in NAMES:
        assert len(decode_all(f"file:{name}")) == 3
    report = pipeline.enhance("../in", ".", runner="local", settings=OFF, overwrite=True)
    assert {video.output for video in report.videos} == {str(Path(n).absolute()) for n in NAMES}


def test_a_folder_of_any_names_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"12:30:05.mp4", "100%d.mp4", "-y.mp4", "gate[1].mp4"}
    (tmp_path / "50%d [a] 1:2").mkdir()
    monkeypatch.chdir(tmp_path / "50%d [a] 1:2")
    for name in names:
        make_video(Path("plain.mp4"), TINY).rename(name)
    report = pipeline.enhance(".", "out", runner="local", settings=OFF)
    assert {Path(video.source).name for video in report.videos} == names
    assert {file.name for file in Path("out").glob("*.mp4")} == names


def test_numbered_pictures_may_lie_in_a_folder_with_percent_signs(tmp_path: Path) -> None:
    folder = tmp_path / "100%d:50%"
    folder.mkdir()
    for number in (7, 8):
        Image.new("RGB", (64, 48)).save(folder / f"5%_{number:03d}.png")
    report = pipeline.enhance(
        str(folder / "5%_%03d.png"), folder / "6%_%02d.png", runner="local", settings=OFF
    )
    assert report.videos[0].frames == 2
    assert {file.name for file in folder.glob("6%_*.png")} >= {"6%_07.png", "6%_08.png"}


@pytest.mark.parametrize("name", ["12:30:05.mkv", "100%d.mp4", os.fsdecode(b"-caf\xe9.ts")])
def test_any_name_may_be_asked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = pipeline.enhance(
        make_video(tmp_path / "v.mp4", TINY), name, runner="local", settings=OFF
    )
    assert report.videos[0].output == str(tmp_path / name)
    assert len(decode_all(f"file:{name}")) == 3


@pytest.mark.parametrize("name", ["100%d.mp4", "%05d.ts", "%d", "50%.png", "%x.png"])
def test_only_pictures_are_numbered(name: str) -> None:
    assert not is_numbered(name)


@pytest.mark.parametrize("name", ["%d.png", "f_%05d.JPG", "a%02d.dpx", "%d.webp", "%4%d.tiff"])
def test_pictures_are(name: str) -> None:
    assert is_numbered(name)


def test_a_photograph_that_is_there_is_no_number(tmp_path: Path) -> None:
    photo = tmp_path / "100%d.png"
    Image.new("RGB", (64, 48)).save(photo)
    assert not is_numbered(str(photo))
    with open_media(str(photo)) as container:
        assert container.streams.video[0].codec_context.width == 64
