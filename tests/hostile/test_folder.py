"""A folder of hostile files: whatever one of them raises, the others are done and it is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from nodes.registry import registered_nodes
from pipeline.config import RunConfig, RunOptions
from pipeline.job.job import run_job
from pipeline.job.monitors import LineMonitor, Monitor, SilentMonitor
from pipeline.job.report import RunReport
from tests.support.exif import HEADER, noise_jpeg
from tests.support.media import Video, make_video
from tests.support.png import write_png

pytestmark = pytest.mark.filterwarnings("default")

GRAPH = """
name: copy
nodes:
  decode: {type: aminet.decode}
  node: {type: toy.leave, inputs: {frames: decode.frames}}
  encode: {type: aminet.encode, inputs: {frames: node.frames}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunConfig]:
    """decode -> toy.leave -> encode; `toy.leave` ends the process over a video named `leave`."""
    about = tmp_path / "site" / "toy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    entry = "[aminet.nodes]\ntoy.leave = tests.support.hostile_nodes:Leave\n"
    (about / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path / "site")  # pyright: ignore[reportUnknownMemberType]
    graph = tmp_path / "copy.yaml"
    graph.write_text(GRAPH)
    registered_nodes.cache_clear()
    yield RunConfig(graph=str(graph), run=RunOptions(runner="local", threads=1))
    registered_nodes.cache_clear()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder with one good video."""
    folder = tmp_path / "in"
    folder.mkdir()
    make_video(folder / "good.mp4", Video(frames=5))
    return folder


def job(folder: Path, config: RunConfig, monitor: Monitor | None = None) -> RunReport:
    report = run_job(
        [str(folder)],
        str(folder.parent / "out"),
        config=config,
        overwrite=False,
        resume=True,
        monitor=monitor or SilentMonitor(),
    )
    # What is on the disk can be read, and says the same.
    told = json.loads((folder.parent / "out" / "report.json").read_bytes())
    assert [video["source"] for video in told["videos"]] == [v.source for v in report.videos]
    return report


def bomb(folder: Path) -> str:
    name = "bomb.jpg"
    content = bytearray(noise_jpeg(1))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = (60000).to_bytes(2) * 2
    (folder / name).write_bytes(content)
    return name


def long_name(folder: Path) -> str:
    name = "n" * 246 + ".mp4"
    shutil.copy(folder / "good.mp4", folder / name)
    return name


def leaving(folder: Path) -> str:
    shutil.copy(folder / "good.mp4", folder / "leave.mp4")
    return "leave.mp4"


def raising(folder: Path) -> str:
    shutil.copy(folder / "good.mp4", folder / "raise.mp4")
    return "raise.mp4"


def in_the_way(folder: Path) -> str:
    """A video whose output's folder cannot be made."""
    (folder / "sub").mkdir()
    shutil.copy(folder / "good.mp4", folder / "sub" / "a.mp4")
    (folder.parent / "out").mkdir()
    (folder.parent / "out" / "sub").write_bytes(b"a file")
    return "sub/a.mp4"


def text(folder: Path) -> str:
    (folder / "text.mp4").write_text("no video\n" * 99)
    return "text.mp4"


@pytest.mark.parametrize(
    "make", [bomb, long_name, leaving, raising, in_the_way, text], ids=lambda make: make.__name__
)
def test_one_bad_file_fails_alone(
    config: RunConfig, good: Path, make: Callable[[Path], str]
) -> None:
    bad = make(good)
    report = job(good, config)
    assert {Path(v.source).relative_to(good).as_posix(): v.status for v in report.videos} == {
        "good.mp4": "done",
        bad: "failed",
    }
    (failed,) = report.failed
    assert failed.error
    assert len(failed.error.splitlines()) == 1
    assert (good.parent / "out" / "good.mp4").exists()
    assert not list((good.parent / "out").rglob("*.aminet-part"))


def test_a_picture_with_more_exif_than_one_jpeg_segment_holds(
    config: RunConfig, good: Path
) -> None:
    exif = HEADER + b"II*\0" + bytes(60_000)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif
    jpeg = noise_jpeg(1)
    (good / "a.jpg").write_bytes(jpeg[:2] + 2 * segment + jpeg[2:])
    report = job(good, config)
    assert (good.parent / "out" / "good.mp4").exists()
    assert {video.status for video in report.videos if video.source.endswith(".mp4")} == {"done"}


@pytest.mark.parametrize("name", ["pipe.mp4", "pipe.bin", "pipe.png"])
def test_a_pipe_in_a_folder_is_no_file(config: RunConfig, good: Path, name: str) -> None:
    os.mkfifo(good / name)
    report = job(good, config)
    assert [Path(video.source).name for video in report.videos] == ["good.mp4"]


@pytest.mark.parametrize(
    "name",
    [b"bad\xff.mp4", b"esc\x1b[31m.mp4", b"two\nlines.mp4", "rtl\u202egpj.mp4".encode()],
    ids=["not-utf-8", "escape", "newline", "right-to-left"],
)
def test_a_name_that_no_terminal_should_see_is_done_and_told_safely(
    config: RunConfig, good: Path, tmp_path: Path, name: bytes
) -> None:
    shutil.copy(good / "good.mp4", good / os.fsdecode(name))
    told = (tmp_path / "told.txt").open("w", encoding="utf-8")
    with told:
        report = job(good, config, LineMonitor(Console(file=told)))
    assert [video.status for video in report.videos] == ["done", "done"]
    assert os.fsdecode(name) in os.listdir(tmp_path / "out")  # noqa: PTH208 - names, not paths
    lines = (tmp_path / "told.txt").read_text(encoding="utf-8")
    assert lines.replace("\n", "").isprintable()
    assert len([line for line in lines.splitlines() if " -> " in line]) == 2
    known = [(video.source, video.wall_s) for video in report.videos]
    assert [(video.source, video.wall_s) for video in job(good, config).videos] == known


def test_a_skipped_file_whose_name_is_no_utf_8_is_reported(config: RunConfig, good: Path) -> None:
    (good / os.fsdecode(b"notes\xff.txt")).write_text("x")
    assert [Path(name).name for name in job(good, config).skipped] == [
        os.fsdecode(b"notes\xff.txt")
    ]


def test_what_pillow_takes_for_a_bomb_cannot_be_read(tmp_path: Path) -> None:
    from nodes.errors import MediaError
    from nodes.media.picture_files import pillow_image

    path = write_png(tmp_path / "a.png", width_px=200_000, height_px=1000)
    with pytest.raises(MediaError, match="header cannot be read"), pillow_image(path):
        pass
