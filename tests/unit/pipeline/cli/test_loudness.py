"""`--version`, and `--verbose` and `--quiet` wherever they are written."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.cli.app import main
from pipeline.errors import NodeFailedError, RunFailedError
from tests.support.media import Video, make_video
from tests.support.sink_nodes import install, write_run


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    yield
    for room in ("aminet", "nodes", "pipeline"):
        logging.getLogger(room).setLevel(logging.NOTSET)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["aminet", *arguments])
    return main()


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"aminet {version('aminet-video')}\n"


@pytest.mark.parametrize("options", [("-v", "probe"), ("probe", "--verbose"), ("probe", "-v")])
def test_verbose_tells_where_an_error_came_from(
    options: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert run(monkeypatch, *options, "/no/such.mp4") == 3
    assert "aminet: /no/such.mp4" in capsys.readouterr().err
    assert "Traceback" in caplog.text


def test_without_it_an_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert run(monkeypatch, "probe", "/no/such.mp4") == 3
    assert "Traceback" not in capsys.readouterr().err + caplog.text


def test_an_error_of_a_node_names_it_and_verbose_shows_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    config = write_run(tmp_path, bad="type: acme.notes, config: {refuses: true}")
    command = ["enhance", str(source), "-o", str(tmp_path / "out.mkv"), "-c", str(config)]
    assert run(monkeypatch, *command) == 4
    told = capsys.readouterr().err
    assert told.startswith("aminet: node 'bad' (acme.notes): ValueError: ")
    assert "Traceback" not in told
    assert run(monkeypatch, *command, "--verbose") == 4
    told = capsys.readouterr().err
    assert "sink_nodes.py" in told
    assert "in finish" in told
    assert "Traceback (most recent call last):\n" in told


def test_quiet_leaves_warnings_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "graph", "list", "--quiet") == 0
    assert not logging.getLogger("pipeline.stream.job").isEnabledFor(logging.WARNING)
    assert logging.getLogger("pipeline.stream.job").isEnabledFor(logging.ERROR)


COPY = """
name: copy
nodes:
  decode: {type: aminet.decode}
  encode: {type: aminet.encode, inputs: {frames: decode.frames}}
"""


def test_how_much_a_run_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, graph = make_video(tmp_path / "v.mp4", Video(frames=5)), tmp_path / "copy.yaml"
    graph.write_text(COPY, encoding="utf-8")
    said: dict[str, str] = {}
    for option in ("--resume", "--quiet"):  # the level stays, in one process
        out = str(tmp_path / f"{option}.mkv")
        assert run(monkeypatch, "run", str(graph), str(source), "-o", out, option) == 0
        told = capsys.readouterr()
        said[option] = told.out + told.err
    assert said["--quiet"] == ""
    assert "5 frames" in said["--resume"]
    # Which of several videos failed is no note.
    (tmp_path / "bad.mp4").write_text("no video", encoding="utf-8")
    words = ["run", str(graph), str(source), str(tmp_path / "bad.mp4"), "-o", str(tmp_path / "o")]
    assert run(monkeypatch, *words, "--quiet") == 4
    told = capsys.readouterr()
    assert "bad.mp4: FAILED: " in told.out
    assert len((told.out + told.err).splitlines()) == 2


def test_verbose_says_what_each_node_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, graph = make_video(tmp_path / "v.mp4", Video(frames=5)), tmp_path / "copy.yaml"
    graph.write_text(COPY, encoding="utf-8")
    words = ["run", str(graph), str(source), "-o", str(tmp_path / "out.mkv"), "--verbose"]
    assert run(monkeypatch, *words) == 0
    assert re.search(r"segment 0 of .*: 5 frames in .* s \(.*decode \d+\.\d\d s", caplog.text)


def test_a_failed_node_is_a_failed_run() -> None:
    assert issubclass(NodeFailedError, RunFailedError)
