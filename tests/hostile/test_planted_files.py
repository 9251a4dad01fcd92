"""What lies where a run keeps its own files, or where it looks for weights, and is none of it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from torch import nn

from aminet.errors import WeightsError
from aminet.files import read_file
from aminet.model_files import load_network, save_weights
from aminet.network import AMINet
from nodes.media.open import tagged_end_s
from nodes.types import Frame
from pipeline.cli import console
from pipeline.errors import OutputError, RunFailedError, exit_code
from pipeline.job.report import read_video, read_videos
from pipeline.segments.store import SegmentStore
from pipeline.segments.task import _times
from pipeline.storage.locations import location_of, read
from pipeline.storage.lock import holding
from tests.support import ROOT
from tests.support.faces import TINY, info_of
from tests.support.media import Video, make_video

DEEP = b'{"videos": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize("content", [DEEP, b"9" * 6000, b"\xff\xfe\0", b"[]", b"{}", b'{"a": NaN}'])
def test_a_report_or_manifest_that_is_none_is_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(content)
    assert read_videos(location_of(tmp_path / "report.json")) == {}
    assert read_video(content) is None
    work = tmp_path / "work"
    (work / "00000").mkdir(parents=True)
    work.chmod(0o700)
    (work / "00000" / "manifest.json").write_bytes(content)
    assert SegmentStore(location_of(work)).finished() == {}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_report_that_is_no_file_is_seen_before_the_work(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "report.json")
    with (
        pytest.raises(OutputError, match="is not a file"),
        holding(location_of(tmp_path / "report.json")),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.timeout(30)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.json", "w.pt"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(OSError, match="pipe or device"):
            read_file(str(tmp_path / name))
        with pytest.raises(OSError, match="pipe or device"):
            read(location_of(tmp_path / name))


def foreign(path: Path) -> None:
    torch.save({"x": Path("/tmp")}, path)  # noqa: S108 - any object


def whole_module(path: Path) -> None:
    torch.save(nn.Linear(2, 2), path)


def text(path: Path) -> None:
    path.write_bytes(b"not a pickle at all")


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Path("/x")}))


def a_list(path: Path) -> None:
    torch.save([1, 2], path)


def half(path: Path) -> None:
    config = {"preset": "aminet-s", "protocol": 1}
    torch.save({"config": config, "average": {"x": 3}, "step": 1, "seconds": "x"}, path)


def huge(path: Path) -> None:
    config = {"preset": "aminet-s", "protocol": "camera", "in_channels": 10**9}
    average = {"x": torch.zeros(3)}
    torch.save({"config": config, "average": average, "step": 1, "seconds": 1.0}, path)


@pytest.mark.parametrize("make", [foreign, whole_module, text, plain_pickle, a_list, half, huge])
def test_a_foreign_checkpoint_is_refused_without_advice_to_run_it(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "w.pt")
    with pytest.raises(WeightsError) as caught:
        load_network(tmp_path / "w.pt")
    assert "weights_only" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "change", [b"[" * 100_000, b'{"name": "' + b"\x1b" * 9 + b"z" * 9000 + b'"}', b""]
)
def test_a_card_that_is_none_is_told_in_a_line(change: bytes, tmp_path: Path) -> None:
    save_weights(AMINet(TINY), tmp_path / "w.safetensors", protocol="camera")
    (tmp_path / "w.json").write_bytes(change)
    with pytest.raises(WeightsError) as caught:
        load_network(tmp_path / "w.safetensors")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


class _Stream:
    def __init__(self, text: str) -> None:
        self.metadata = {"DURATION": text}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:01:02.500000000", 62.5),
        ("1:2:3.4.5", None),
        ("9:9:......", None),
        ("9" * 400 + ":00:00", None),
        ("9" * 5000 + ":00:00", None),
        ("00:00:" + "9" * 400, None),
        ("-1:00:00", None),
        ("٣:٣:٣", None),
        ("00:00:1e9", None),
        ("00:00:05.", 5.0),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_tag_of_a_time_is_one_or_is_not_read(text: str, seconds: float | None) -> None:
    assert tagged_end_s(_Stream(text)) == seconds  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("words", "ends", "code"),
    [
        ("probe a.mkv", ">/dev/full", 4),
        ("probe a.mkv", ">&-", 0),
        ("probe no.mkv", "2>/dev/full", 3),
        ("probe no.mkv", "2>&-", 3),
        ("--help", ">/dev/full", 4),
        ("enhance - -o b.mkv", "<&-", 3),
        ("probe a.mkv", "| true", 0),
        ("enhance a.mkv -o c.mkv --runner local --set enhance.weights=bicubic", "| true", 0),
        ("enhance a.mkv -o c.mkv --runner local --set enhance.weights=bicubic", ">/dev/full", 4),
    ],
)
def test_ends_that_are_closed_or_full(words: str, ends: str, code: int, tmp_path: Path) -> None:
    make_video(tmp_path / "a.mkv", Video(frames=3))
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m pipeline {words} {ends}"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception" not in ran.stderr
    # What is done is done, whether or not it could be said.
    assert (tmp_path / "c.mkv").exists() == ("c.mkv" in words)


@pytest.mark.parametrize("columns", ["0", "-1", "x", ""])
def test_a_terminal_without_width_is_written_to(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console._console(console._Stream("stdout")).print("said", soft_wrap=True)
    assert capsys.readouterr().out == "said\n"


def test_an_encoded_file_that_is_removed_is_no_damaged_input(tmp_path: Path) -> None:
    frame = Frame(0, 0, 1, av.VideoFrame(64, 48, "yuv420p"))
    with pytest.raises(RunFailedError, match="was it removed") as caught:
        _times(tmp_path / "encoded.video", info_of(frame))
    assert exit_code(caught.value) == 4
