"""Without the libraries that MediaPipe loads, a run ends at its start, and says what to install."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nodes.errors import NodeConfigError
from nodes.track import Track
from nodes.track.detector import FaceDetector
from nodes.track.node import TrackConfig
from nodes.track.system_libraries import check_libraries
from pipeline.cli.app import main
from tests.support.media import Video, make_video


def lacking(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """Have the system lack libraries."""
    load: Callable[[str | None], object] = ctypes.CDLL

    def refuse(name: str | None, *args: object, **more: object) -> object:
        if name in missing:
            raise OSError(f"{name}: cannot open shared object file")
        return load(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of Linux")
def test_what_is_missing_is_named_with_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    check_libraries()
    lacking(monkeypatch, "libGLESv2.so.2")
    with pytest.raises(NodeConfigError, match=r"needs libGLESv2.so.2, .*install libgles2 on"):
        Track(TrackConfig()).prepare(lambda _: None)
    lacking(monkeypatch, "libEGL.so.1", "libGLESv2.so.2")
    with pytest.raises(NodeConfigError, match=r"libEGL.so.1 and libGLESv2.so.2, .*libegl1 libgles"):
        FaceDetector(0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of Linux")
def test_it_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_video(tmp_path / "a.mkv", Video(frames=3))
    lacking(monkeypatch, "libEGL.so.1")
    words = ["enhance", str(source), "-o", str(tmp_path / "out" / "b.mkv"), "--runner", "local"]
    monkeypatch.setattr("sys.argv", ["aminet", *words])
    assert main() == 2
    assert "apt-get install libegl1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_systems_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, "libEGL.so.1")
    monkeypatch.setattr(sys, "platform", "darwin")
    check_libraries()
