"""Whole jobs in this process: each video appears whole or not at all, and stops no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.errors import MediaError
from nodes.registry import registered_nodes
from pipeline.config import RunConfig, RunOptions
from pipeline.errors import OutputError, RunFailedError
from pipeline.job.files import VideoFiles
from pipeline.job.job import run_job
from pipeline.job.monitors import SilentMonitor
from pipeline.job.progress import Expected
from pipeline.job.report import RunReport, VideoReport
from pipeline.run.contract import Progress
from tests.support.jobs import THREE_SEGMENTS
from tests.support.media import decode_all, make_video
from tests.support.video_nodes import same_pixels

pytestmark = pytest.mark.filterwarnings("default")

GRAPH = """
name: copy
nodes:
  decode: {type: aminet.decode}
  fail: {type: toy.fail, inputs: {frames: decode.frames}}
  encode: {type: aminet.encode, inputs: {frames: fail.frames}, config: {codec: ffv1}}
"""


class Watch(SilentMonitor):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.expected: dict[str, Expected] = {}
        self.runner = ""
        self.frames: dict[str, list[int]] = {}
        self.ends: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def began(self, videos: Mapping[VideoFiles, Expected], runner: str, why: str) -> None:
        self.expected = {Path(video.source).name: known for video, known in videos.items()}
        self.runner = runner

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        self.frames.setdefault(Path(video.source).name, []).append(progress.frames)

    def ended(self, video: VideoFiles, report: VideoReport) -> None:
        self.ends.append((Path(video.source).name, report.status))

    def noted(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunConfig]:
    """decode -> toy.fail -> encode, on the local runner; `toy.fail` comes from a plug-in."""
    about = tmp_path / "site" / "toy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[aminet.nodes]\ntoy.fail = tests.support.jobs:Fail\n")
    monkeypatch.syspath_prepend(tmp_path / "site")  # pyright: ignore[reportUnknownMemberType]
    graph = tmp_path / "copy.yaml"
    graph.write_text(GRAPH)
    options = RunOptions(runner="local", segment_s=0.4, threads=1)
    registered_nodes.cache_clear()
    yield RunConfig(graph=str(graph), run=options)
    registered_nodes.cache_clear()


def failing(config: RunConfig, until: Path) -> RunConfig:
    """Fail in the second segment of every video, until that file is there."""
    return config.model_copy(update={"nodes": {"fail": {"at_pts": 600, "until": str(until)}}})


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two videos; only `b.mkv` has a frame at 600 ms."""
    folder = tmp_path / "in"
    folder.mkdir()
    times = tuple(time for time in range(0, 1200, 40) if time != 600)
    make_video(folder / "a.mkv", replace(THREE_SEGMENTS, pts=tuple(t // 40 for t in times)))
    make_video(folder / "b.mkv", THREE_SEGMENTS)
    return folder


def job(
    source: Path,
    target: Path,
    config: RunConfig,
    monitor: SilentMonitor | None = None,
    *,
    overwrite: bool = False,
    resume: bool = True,
) -> RunReport:
    return run_job(
        [str(source)],
        str(target),
        config=config,
        overwrite=overwrite,
        resume=resume,
        monitor=monitor or Watch(),
    )


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_video_is_made_reported_and_told(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    watch = Watch()
    report = job(footage, tmp_path / "out", config, watch)
    assert [(Path(v.source).name, v.status, v.frames) for v in report.videos] == [
        ("a.mkv", "done", 29),
        ("b.mkv", "done", 30),
    ]
    assert report.failed == ()
    for name in ("a.mkv", "b.mkv"):
        assert same_pixels(decode_all(tmp_path / "out" / name), decode_all(footage / name))
    assert names_in(tmp_path / "out") == {"a.mkv", "b.mkv", "report.html", "report.json"}
    assert watch.expected == {"a.mkv": Expected(29), "b.mkv": Expected(30)}
    assert watch.ends == [("a.mkv", "done"), ("b.mkv", "done")]
    assert watch.notes == []
    assert (watch.runner, report.runner["name"]) == ("local", "local")
    for frames in watch.frames.values():
        assert frames == sorted(frames)
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [video["frames"] for video in written["videos"]] == [29, 30]
    assert written["config"]["run"]["segment_s"] == 0.4


def test_a_video_that_fails_stops_no_other_and_goes_on_when_it_can(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    out, mended = tmp_path / "out", tmp_path / "mended"
    watch = Watch()
    report = job(footage, out, failing(config, mended), watch)
    (failed,) = report.failed
    assert failed.source == str(footage / "b.mkv")
    assert failed.error == "segment 2 of 3: node 'fail' (toy.fail): ValueError: the node broke"
    assert watch.ends == [("a.mkv", "done"), ("b.mkv", "failed")]
    assert any(
        note.endswith("ValueError: the node broke; its other segments go on")
        for note in watch.notes
    )
    assert any("2 of 3 segments are finished and kept" in note for note in watch.notes)
    assert names_in(out) == {"a.mkv", ".b.mkv.aminet-part", "report.html", "report.json"}
    first_made = (out / "a.mkv").stat().st_mtime_ns

    mended.touch()
    watch = Watch()
    report = job(footage, out, failing(config, mended), watch)
    assert [(v.status, v.segments_reused) for v in report.videos] == [("done", 0), ("done", 2)]
    assert watch.notes[0] == f"{footage / 'a.mkv'} -> {out / 'a.mkv'}: done by an earlier run"
    assert watch.expected == {"b.mkv": Expected(30, Progress(20))}
    assert (out / "a.mkv").stat().st_mtime_ns == first_made
    assert same_pixels(decode_all(out / "b.mkv"), decode_all(footage / "b.mkv"))
    assert names_in(out) == {"a.mkv", "b.mkv", "report.html", "report.json"}


def test_the_only_video_of_a_job_raises_what_is_wrong(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    with pytest.raises(
        RunFailedError, match=r"segment 2 of 3: node 'fail' \(toy.fail\): ValueError"
    ):
        job(footage / "b.mkv", target, failing(config, tmp_path / "never"))
    assert not target.exists()
    assert (tmp_path / ".out.mkv.aminet-part" / "00002" / "manifest.json").exists()
    with pytest.raises(MediaError, match="none"):
        job(tmp_path / "none.mkv", target, config)


def test_a_file_that_is_no_video_is_reported_and_the_others_are_done(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    (footage / "broken.mp4").write_bytes(b"no video at all")
    watch = Watch()
    report = job(footage, tmp_path / "out", config, watch)
    assert [(Path(v.source).name, v.status) for v in report.videos] == [
        ("a.mkv", "done"),
        ("b.mkv", "done"),
        ("broken.mp4", "failed"),
    ]
    assert watch.ends[0] == ("broken.mp4", "failed")
    assert names_in(tmp_path / "out") == {"a.mkv", "b.mkv", "report.html", "report.json"}


def test_what_lies_at_the_output_is_not_touched_unless_asked(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    target.write_bytes(b"of somebody else")
    watch = Watch()
    with pytest.raises(OutputError, match="--overwrite"):
        job(footage / "b.mkv", target, config, watch)
    assert target.read_bytes() == b"of somebody else"
    assert watch.frames == {}
    job(footage / "b.mkv", target, config, overwrite=True)
    assert len(decode_all(target)) == 30


def test_an_output_of_other_settings_is_not_replaced_and_the_reason_is_told(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    job(footage / "b.mkv", target, config)
    changed = config.model_copy(update={"nodes": {"encode": {"codec": "x264"}}})
    watch = Watch()
    with pytest.raises(OutputError, match="--overwrite"):
        job(footage / "b.mkv", target, changed, watch)
    assert watch.notes == [f"{target} was made by an earlier run, but the settings changed"]


def test_without_resume_nothing_of_an_earlier_run_is_used(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    with pytest.raises(RunFailedError):
        job(footage / "b.mkv", tmp_path / "out.mkv", failing(config, mended))
    mended.touch()
    again = failing(config, mended)
    report = job(footage / "b.mkv", tmp_path / "out.mkv", again, resume=False)
    assert report.videos[0].segments_reused == 0


def test_a_run_that_is_killed_between_two_videos_has_reported_the_first(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    class Killed(Watch):
        def advanced(self, video: VideoFiles, progress: Progress) -> None:
            if video.source.endswith("b.mkv"):
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        job(footage, out, config, Killed())
    written = json.loads((out / "report.json").read_text())
    assert [Path(video["source"]).name for video in written["videos"]] == ["a.mkv"]
    watch = Watch()
    report = job(footage, out, config, watch)
    assert "done by an earlier run" in watch.notes[0]
    assert [video.status for video in report.videos] == ["done", "done"]
