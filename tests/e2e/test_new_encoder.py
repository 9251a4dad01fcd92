"""A new encoder is one row of its table: nothing else knows its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest

import pipeline
from nodes.encode import encoder_table
from nodes.encode.encoder_table import Encoder
from pipeline.errors import OutputError
from pipeline.job.report import VideoReport
from tests.support.media import AudioTrack, Video, decode_all, make_video
from tests.support.video_nodes import largest_difference, same_pixels

# MediaPipe and Ray warn of their own dependencies.
pytestmark = pytest.mark.filterwarnings("default")

OFF = ("enhance.weights=bicubic", "run.threads=1", "encode.copy=false")

ROWS = {
    "magicyuv": Encoder(
        "magicyuv",
        options={"pred": "median"},
        containers=frozenset({"mov", "nut"}),
        continues=frozenset({"magicyuv"}),
    ),
    "dnxhr": Encoder(
        "dnxhd",
        profiles={"422": "dnxhr_hq"},
        segment_muxer="mov",  # NUT has no number for it
        containers=frozenset({"mov"}),
        continues=frozenset({"dnxhd"}),
        successors=("prores",),
    ),
}

SOURCES = {
    "magicyuv": Video(codec="magicyuv", audio=(AudioTrack("pcm_s16le"),)),
    "dnxhr": Video(
        codec="dnxhd",
        pix_fmt="yuv422p",
        width_px=256,
        height_px=128,
        frames=4,
        options={"profile": "dnxhr_hq"},
        audio=(AudioTrack("pcm_s16le"),),
    ),
}


def run(source: Path, target: Path, *settings: str) -> VideoReport:
    report = pipeline.enhance(source, target, runner="local", settings=(*OFF, *settings))
    return report.videos[0]


def codec_of(path: Path) -> str:
    with av.open(path) as container:
        return container.streams.video[0].codec_context.codec.canonical_name


@pytest.fixture(params=ROWS)
def key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(encoder_table.ENCODERS, request.param, ROWS[request.param])
    return request.param


def test_a_source_is_continued_in_its_codec(tmp_path: Path, key: str) -> None:
    source = make_video(tmp_path / "in.mov", SOURCES[key])

    report = run(source, tmp_path / "out.mov")

    assert codec_of(tmp_path / "out.mov") == codec_of(source) == ROWS[key].name
    assert report.mux is not None
    assert (report.mux["frames"], report.mux["max_deviation_s"]) == (SOURCES[key].frames, 0)
    before, after = decode_all(source), decode_all(tmp_path / "out.mov")
    assert [p.format.name for p in after] == [p.format.name for p in before]
    assert largest_difference(after, before) <= (0 if key == "magicyuv" else 8)


def test_it_is_asked_for_by_its_key_and_only_in_its_containers(tmp_path: Path, key: str) -> None:
    source = make_video(tmp_path / "in.mp4", Video(width_px=256, height_px=128, pix_fmt="yuv422p"))
    with pytest.raises(OutputError, match=r"cannot hold \w+ video: choose an output .*\.mov"):
        run(source, tmp_path / "out.mp4", f"encode.codec={key}")

    run(source, tmp_path / "out.mov", f"encode.codec={key}")

    assert codec_of(tmp_path / "out.mov") == ROWS[key].name
    assert len(decode_all(tmp_path / "out.mov")) == 12


def test_without_the_row_it_is_another_codec(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mov", SOURCES["magicyuv"])
    run(source, tmp_path / "out.mov")
    assert codec_of(tmp_path / "out.mov") == "h264"


PIPE = """
import sys
from nodes.encode import encoder_table
from pipeline.__main__ import main
from tests.e2e.test_new_encoder import ROWS
encoder_table.ENCODERS["magicyuv"] = ROWS["magicyuv"]
sys.exit(main())
"""


def test_a_pipe_takes_it_too(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.nut", SOURCES["magicyuv"])
    settings = [word for setting in OFF for word in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-c", PIPE, "enhance", "-", "-o", "-", *settings],
        input=source.read_bytes(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    (tmp_path / "out.nut").write_bytes(done.stdout)
    assert codec_of(tmp_path / "out.nut") == "magicyuv"
    assert same_pixels(decode_all(tmp_path / "out.nut"), decode_all(source))
