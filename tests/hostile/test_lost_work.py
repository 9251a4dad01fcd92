"""Inputs that `--overwrite` could take for files of an earlier run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pipeline
from pipeline.errors import OutputError
from pipeline.storage.locations import location_of, write
from tests.support.media import Video, make_video

pytestmark = pytest.mark.filterwarnings("default")

OFF = ("enhance.weights=bicubic", "run.threads=1", "encode.preset=ultrafast")


def test_overwrite_removes_no_input_that_is_named_like_a_file_beside_an_output(
    tmp_path: Path,
) -> None:
    """`b.faces.png` is the sheet of `b.mkv`, which is replaced, and an input that fails."""
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "b.mkv", Video(frames=3))
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(tmp_path / "in" / "b.mkv", out / "b.mkv")
    (out / "b.faces.png").write_bytes(b"a picture that cannot be read")
    with pytest.raises(OutputError, match="both input and output"):
        pipeline.enhance(
            [tmp_path / "in" / "b.mkv", out / "b.faces.png"],
            out,
            overwrite=True,
            runner="local",
            settings=OFF,
        )
    assert (out / "b.faces.png").read_bytes() == b"a picture that cannot be read"


def test_an_earlier_report_leads_to_the_removal_of_no_input(tmp_path: Path) -> None:
    """A forged report says that `b.extra.mkv` lies beside `b.mkv`: it is an input now."""
    (tmp_path / "in").mkdir()
    source = make_video(tmp_path / "in" / "b.mkv", Video(frames=3))
    out = tmp_path / "out"
    pipeline.enhance([source.parent], out, runner="local", settings=OFF)
    report = json.loads((out / "report.json").read_bytes())
    report["videos"][0]["beside"][".extra.mkv"] = str(out / "b.extra.mkv")
    write(location_of(out / "report.json"), json.dumps(report).encode())
    other = make_video(out / "b.extra.mkv", Video(frames=4))
    before = other.read_bytes()
    with pytest.raises(OutputError, match="both input and output"):
        pipeline.enhance(
            [source.parent, other],
            out,
            overwrite=True,
            runner="local",
            settings=(*OFF, "encode.crf=30"),
        )
    assert other.read_bytes() == before
