"""Relative names mean the folder of who gave them, wherever the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import pipeline
from pipeline.config import load_config
from pipeline.job.files import VideoFiles
from pipeline.job.monitors import SilentMonitor
from pipeline.job.progress import Expected
from pipeline.storage.locations import absolute
from tests.support.media import Video, make_video

# MediaPipe warns of its own dependencies.
pytestmark = pytest.mark.filterwarnings("default")

OFF = ("enhance.weights=bicubic", "run.threads=1", "run.segment_s=0.4")


class Elsewhere(SilentMonitor):
    """Changes the working folder when the work begins, as a worker on another machine has one."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, patch

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        self._patch.chdir(self._folder)


def test_a_file_of_the_same_name_in_the_workers_folder_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, frames in (("mine", 50), ("worker", 20)):
        (tmp_path / name).mkdir()
        make_video(tmp_path / name / "a.mkv", Video(frames=frames, gop_frames=10))
    monkeypatch.chdir(tmp_path / "mine")
    report = pipeline.enhance(
        "a.mkv",
        "out/b.mkv",
        runner="local",
        settings=OFF,
        monitor=Elsewhere(tmp_path / "worker", monkeypatch),
    )
    assert report.videos[0].frames == 50
    assert report.videos[0].source == str(tmp_path / "mine" / "a.mkv")
    assert (tmp_path / "mine" / "out" / "b.mkv").exists()
    assert [path.name for path in (tmp_path / "worker").iterdir()] == ["a.mkv"]


def test_what_is_planned_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "a.mkv", Video(frames=5))
    monkeypatch.chdir(tmp_path)
    (video,) = pipeline.plan("a.mkv", "out", settings=OFF).videos
    assert video.files.source == str(tmp_path / "a.mkv")
    assert str(video.files.target) == str(tmp_path / "out" / "a.mkv")


def test_the_scratch_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None, ("run.scratch_dir=scratch",)).run.scratch_dir == tmp_path / "scratch"


@pytest.mark.parametrize("url", ["http://h/a.mp4", "s3://b/a/b.mp4", "rtsp://h/x"])
def test_a_url_stays_as_it_is(url: str) -> None:
    assert absolute(url) == url


def test_links_and_steps_upwards_are_left_to_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b.mp4") == f"{tmp_path}/a/../b.mp4"
    assert absolute("http:x.mp4") == f"{tmp_path}/http:x.mp4"
