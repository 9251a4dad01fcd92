"""What videos carry beside samples, where packets of them are copied."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.job.report import VideoReport
from tests.support.marking import marking_graph
from tests.support.media import decode_all
from tests.support.side_facts import captions_of, make_captioned, make_cropped, make_dolby_vision

pytestmark = pytest.mark.filterwarnings("default")

DOLBY = "left out: Dolby Vision record"


def test_a_video_with_cropping_is_encoded_without_the_lines(tmp_path: Path) -> None:
    source, out = make_cropped(tmp_path / "v.mkv", 8), tmp_path / "out.mkv"
    report = _run(source, out)

    assert report.copied_frames == 0
    assert report.why_not_copied == "its container cuts off a part of its pictures"
    assert {picture.height for picture in decode_all(out)} == {40}


@pytest.mark.parametrize(("suffix", "keeps"), [(".mkv", True), (".mp4", True), (".mov", False)])
def test_a_copy_says_that_dolby_vision_is_lost_only_where_it_is(
    suffix: str, keeps: bool, tmp_path: Path
) -> None:
    report = _run(make_dolby_vision(tmp_path / "v.mp4", 8, 1), tmp_path / f"out{suffix}")

    assert report.copied_frames == report.frames
    assert any(DOLBY in note for note in report.notes) != keeps


def test_dolby_vision_is_encoded_as_a_whole(tmp_path: Path) -> None:
    source = make_dolby_vision(tmp_path / "v.mp4", 8, 1)
    shown = sorted(picture.pts or 0 for picture in decode_all(source))
    report = _run(source, tmp_path / "out.mkv", shown[-1])

    assert report.copied_frames == 0
    assert report.why_not_copied == "it is Dolby Vision"
    assert any(DOLBY in note for note in report.notes)


@pytest.mark.parametrize("mark", [False, True])
def test_captions_stay_in_copied_and_in_encoded_pictures(mark: bool, tmp_path: Path) -> None:
    source, out = make_captioned(tmp_path / "v.ts"), tmp_path / "out.ts"
    before = decode_all(source)
    report = _run(source, out, *(picture.pts or 0 for picture in before[3:4] if mark))

    assert report.copied_frames == (0 if mark else 12)
    assert report.nodes["encode"]["captions"] == (12 if mark else 0)
    assert captions_of(decode_all(out)) == captions_of(before)
    assert len(captions_of(before)) == 12


def _run(source: Path, out: Path, *marked: int) -> VideoReport:
    graph = marking_graph(*((pts, pts + 1) for pts in marked))
    settings = ("run.threads=1",)
    return pipeline.run_graph(graph, source, out, runner="local", settings=settings).videos[0]
