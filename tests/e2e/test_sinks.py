"""A sink of another package: its files are published, under names that collide with nobody's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipeline
from pipeline.api import enhance_stream
from pipeline.errors import OutputError, RunFailedError
from pipeline.job.report import VideoReport
from tests.support.media import Video, decode_all, make_video
from tests.support.sink_nodes import install, write_run

pytestmark = pytest.mark.filterwarnings("default")

FOOTAGE = Video(frames=90, gop_frames=10)
CUT = "run.segment_s=0.7"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_video(tmp_path / "v.mp4", FOOTAGE)


def run(source: Path, *settings: str, overwrite: bool = False, **sinks: str) -> VideoReport:
    folder = source.parent
    config = write_run(folder, **sinks)
    report = pipeline.enhance(
        source, folder / "out.mkv", config=config, settings=settings, overwrite=overwrite
    )
    return report.videos[0]


def times(path: Path) -> list[int]:
    return [int(line) for line in path.read_text(encoding="utf-8").splitlines()]


def expected(source: Path) -> list[int]:
    return [frame.pts or 0 for frame in decode_all(source)]


def test_the_files_of_a_sink_that_cannot_join_are_published_as_they_are(source: Path) -> None:
    video = run(source, CUT, notes="type: acme.notes", more="type: acme.notes")
    assert video.segments == 1
    assert video.why_whole == "what node 'notes' (acme.notes) writes cannot be joined"
    for name in ("notes", "more"):
        assert times(source.parent / f"out.{name}" / "times.csv") == expected(source)


def test_a_sink_joins_the_files_of_several_segments(source: Path) -> None:
    video = run(source, CUT, notes="type: acme.joined")
    out = source.parent / "out.times.csv"
    assert video.segments == 5
    assert times(out) == expected(source)
    assert video.beside == {".times.csv": str(out)}
    report = json.loads((source.parent / "out.report.json").read_text(encoding="utf-8"))
    assert report["videos"][0]["beside"] == {".times.csv": str(out)}
    assert not list(source.parent.glob(".out*"))


def test_two_sinks_with_one_ending_keep_their_files_apart(source: Path) -> None:
    kinds = {"left": "acme.joined", "right": "acme.joined", "third": "acme.declared"}
    sinks = {name: f"type: {kind}" for name, kind in kinds.items()}
    config = write_run(source.parent, **sinks)
    report = pipeline.enhance(source, source.parent / "out.mkv", config=config, settings=[CUT])
    video = report.videos[0]
    assert set(video.beside) == {".times.csv", ".right.times.csv", ".third.times.csv"}
    assert all(times(Path(path)) == expected(source) for path in video.beside.values())


@pytest.mark.parametrize(
    "ending",
    ["times.csv", "", ".", "./x", "./../x", ".x/../../y", ".x//y", "/etc/x", ".mkv"],
)
def test_a_file_gets_no_name_that_leads_elsewhere_or_is_taken(source: Path, ending: str) -> None:
    with pytest.raises((RunFailedError, OutputError), match=r"names a file|name of the output"):
        run(source, notes=f"type: acme.joined, config: {{ending: {json.dumps(ending)}}}")
    left = {path.name for path in source.parent.iterdir() if not path.name.startswith(".")}
    assert left == {"v.mp4", "graph.yaml", "run.yaml"} | ({"out.report.json"} & left)


def test_a_sink_whose_join_fails_is_named(source: Path) -> None:
    with pytest.raises(RunFailedError, match=r"'notes' \(acme.joined\) cannot join .*KeyError"):
        run(source, notes="type: acme.joined, config: {fails: true}")


def test_a_file_of_others_is_replaced_only_when_asked_for(source: Path) -> None:
    out = source.parent / "out.times.csv"
    for kind in ("acme.declared", "acme.joined"):
        out.write_text("mine", encoding="utf-8")
        with pytest.raises(OutputError, match=r"out\.times\.csv exists already"):
            run(source, notes=f"type: {kind}")
        assert out.read_text(encoding="utf-8") == "mine"
        assert not (source.parent / "out.mkv").exists()
    assert run(source, notes="type: acme.joined", overwrite=True).segments_reused == 1
    assert times(out) == expected(source)


def test_what_the_earlier_run_left_goes_with_its_output(source: Path) -> None:
    run(source, notes="type: acme.notes, config: {name: deep/a.csv}")
    folder = source.parent / "out.notes"
    assert times(folder / "deep" / "a.csv") == expected(source)
    with pytest.raises(OutputError, match=r"out\.mkv exists already"):
        run(source, notes="type: acme.notes, config: {name: b.csv}")
    run(source, notes="type: acme.notes, config: {name: b.csv}", overwrite=True)
    assert [path.name for path in folder.rglob("*.csv")] == ["b.csv"]
    # What another graph made goes too, and what others put there stays.
    (source.parent / "out.mine").write_text("mine", encoding="utf-8")
    run(source, other="type: acme.joined, config: {ending: .x/y}", overwrite=True)
    run(source, other="type: acme.joined", overwrite=True)
    left = {path.name for path in source.parent.iterdir()}
    assert left == {
        *("v.mp4", "graph.yaml", "run.yaml", "out.report.html", "out.report.json", "out.mkv"),
        *("out.mine", "out.times.csv"),
    }


def test_the_report_of_a_run_is_nobody_elses_name(source: Path) -> None:
    video = run(source, notes="type: acme.joined, config: {ending: .report.json}")
    assert set(video.beside) == {".notes.report.json"}
    assert json.loads((source.parent / "out.report.json").read_text())["videos"]


def test_a_run_whose_side_file_is_gone_is_not_done(source: Path) -> None:
    run(source, notes="type: acme.joined")
    (source.parent / "out.times.csv").unlink()
    with pytest.raises(OutputError, match="add --overwrite"):
        run(source, notes="type: acme.joined")


def test_a_stream_says_what_it_does_not_keep(
    source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = write_run(source.parent, notes="type: acme.notes", more="type: acme.joined")
    enhance_stream(str(source), source.parent / "out.mkv", config=config)
    assert [record.getMessage() for record in caplog.records] == [
        "more: left out, since nothing is written beside a stream",
        "notes: its files are dropped, since nothing is kept beside a stream",
    ]
    assert len(decode_all(source.parent / "out.mkv")) == 90
