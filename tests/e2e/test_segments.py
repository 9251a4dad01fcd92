"""One video in segments: the same output as in one piece, and what is finished is never redone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipeline
from nodes.errors import MediaError
from nodes.tracks.rows import read_tracks
from pipeline.errors import OutputError
from pipeline.job.files import VideoFiles
from pipeline.job.monitors import SilentMonitor
from pipeline.job.report import VideoReport
from pipeline.run.contract import Progress
from tests.support import SAMPLES
from tests.support.media import AudioTrack, Video, decode_all, make_video, packets_of
from tests.support.video_nodes import same_pixels

pytestmark = pytest.mark.filterwarnings("default")

FOOTAGE = Video(frames=90, gop_frames=10, b_frames=2, audio=(AudioTrack(duration_s=3.5),))
CUT = ("enhance.weights=bicubic", "encode.codec=ffv1", "run.segment_s=0.7")


class Watch(SilentMonitor):
    """Notes what it is told, and interrupts the run when that many frames are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.notes: list[str] = []
        self.manifests: dict[str, Any] = {}

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        self.manifests |= manifests_in(Path(str(video.work_dir)))
        if self.stop_at is not None and progress.frames >= self.stop_at:
            raise KeyboardInterrupt


def manifests_in(work_dir: Path) -> dict[str, Any]:
    """Return the finished segments' manifests by segment."""
    found = work_dir.glob("*/manifest.json")
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in found}


def run(
    source: Path, target: Path, *more: str, monitor: Watch | None = None, **flags: Any
) -> VideoReport:
    settings = (*CUT, *more)
    report = pipeline.enhance(source, target, settings=settings, monitor=monitor, **flags)
    (video,) = report.videos
    return video


def interrupted(source: Path, target: Path) -> dict[str, Any]:
    """Run until two segments are done; return their manifests."""
    watch = Watch(stop_at=55)
    with pytest.raises(KeyboardInterrupt):
        run(source, target, monitor=watch)
    kept = manifests_in(target.with_name(f".{target.name}.aminet-part"))
    assert len(kept) >= 2
    assert len(watch.notes) == 1
    assert f"{len(kept)} of 5 segments are finished and kept" in watch.notes[0]
    assert "the same command goes on" in watch.notes[0]
    assert not target.exists()
    return kept


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_segments_give_what_the_whole_gives(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, FOOTAGE)
    whole = run(source, tmp_path / "whole.mkv", "run.segment_s=0")
    cut = run(source, tmp_path / "cut.mkv")
    assert (whole.segments, whole.why_whole) == (1, "run.segment_s is 0")
    assert (cut.segments, cut.why_whole) == (5, None)
    assert cut.frames == whole.frames == 90
    one, other = decode_all(tmp_path / "whole.mkv"), decode_all(tmp_path / "cut.mkv")
    assert [frame.pts for frame in one] == [frame.pts for frame in other]
    assert same_pixels(one, other)
    assert packets_of(tmp_path / "cut.mkv", 1) == packets_of(tmp_path / "whole.mkv", 1)
    for key in ("frames", "first_pts", "last_pts", "warnings"):
        assert cut.nodes["decode"][key] == whole.nodes["decode"][key]
    assert cut.nodes["encode"]["frames"] == 90


def test_a_lossy_codec_keeps_every_frame_at_its_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", FOOTAGE)
    run(source, tmp_path / "out.mp4", "encode.codec=x264", "encode.options={bf: '3'}")
    expected = [frame.pts for frame in decode_all(source)]
    assert [frame.pts for frame in decode_all(tmp_path / "out.mp4")] == expected


def tracks_of(video: VideoReport) -> list[dict[str, Any]]:
    assert video.tracks_file is not None
    return list(read_tracks(Path(video.tracks_file)))


def test_faces_are_followed_over_the_cuts(tmp_path: Path) -> None:
    source = SAMPLES / "portrait.mp4"
    more = ("encode.codec=x264", "encode.preset=ultrafast")
    whole = run(source, tmp_path / "whole.mp4", *more, "run.segment_s=0")
    cut = run(source, tmp_path / "cut.mp4", *more, "run.segment_s=1")
    assert cut.segments > 1, cut.why_whole
    assert cut.frames == whole.frames
    assert cut.tracks is not None
    assert whole.tracks is not None
    # A scan looks elsewhere first after each cut, so a passing false alarm may differ.
    assert abs(cut.tracks - whole.tracks) <= 1
    assert abs(cut.faces - whole.faces) <= 0.05 * whole.faces
    assert cut.sheet is not None
    rows = tracks_of(cut)
    assert [row["pts"] for row in rows] == sorted(row["pts"] for row in rows)
    assert {row["frame"] for row in rows} == {row["frame"] for row in tracks_of(whole)}
    pts_of = {row["frame"]: row["pts"] for row in tracks_of(whole)}
    assert all(row["pts"] == pts_of[row["frame"]] for row in rows)
    # The one person has one number throughout, and rows in (nearly) every frame.
    assert sum(row["track_id"] == 1 for row in rows) >= 0.95 * cut.frames
    assert "ends" not in cut.nodes["track"]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    kept = interrupted(source, target)
    watch = Watch()
    report = run(source, target, monitor=watch)
    assert report.segments_reused == len(kept)
    assert {name: watch.manifests[name] for name in kept} == kept
    assert len(decode_all(target)) == 90
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.frames.jsonl",
        "out.mkv",
        "out.report.html",
        "out.report.json",
        "v.mp4",
    ]


@pytest.mark.parametrize(
    ("more", "reason"),
    [(("encode.options={slices: '4'}",), "settings"), (("run.segment_s=1",), "plan")],
)
def test_what_was_made_with_other_settings_is_done_again_and_says_why(
    tmp_path: Path, more: tuple[str, ...], reason: str
) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    interrupted(source, target)
    report = run(source, target, *more)
    assert report.segments_reused == 0
    assert any(f"done again: the {reason} changed" in note for note in report.notes)
    assert len(decode_all(target)) == 90


def test_another_input_of_the_same_name_is_done_anew(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    interrupted(source, target)
    make_video(source, replace(FOOTAGE, options={"qp": "30"}))
    report = run(source, target)
    assert report.segments_reused == 0
    assert any("done again: the input changed" in note for note in report.notes)


def test_without_resume_everything_is_done_again(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    interrupted(source, target)
    assert run(source, target, resume=False).segments_reused == 0


def test_a_segment_whose_file_is_not_whole_is_done_again(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    kept = interrupted(source, target)
    first = target.with_name(".out.mkv.aminet-part") / "00000" / "encode" / "encoded.video"
    first.write_bytes(first.read_bytes()[:-100])
    assert run(source, target).segments_reused == len(kept) - 1
    assert len(decode_all(target)) == 90


def test_a_video_that_cannot_be_cut_says_why(tmp_path: Path) -> None:
    video = replace(FOOTAGE, codec="mpeg4", audio=())
    source = make_video(tmp_path / "v.avi", video)
    report = run(source, tmp_path / "out.mkv")
    assert (report.segments, report.why_whole) == (1, "it stores no times")


def test_when_the_input_is_gone_nothing_is_touched(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    kept = interrupted(source, target)
    source.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(MediaError):
        run(source, target)
    assert manifests_in(tmp_path / ".out.mkv.aminet-part") == kept
    assert run(tmp_path / "elsewhere.mp4", target).segments_reused == len(kept)


def test_the_same_command_again_finds_everything_done(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    first = run(source, target)
    made = target.stat().st_mtime_ns
    watch = Watch()
    assert replace(run(source, target, monitor=watch), mux={}) == replace(first, mux={})
    assert target.stat().st_mtime_ns == made
    assert watch.notes == [f"{source} -> {target}: done by an earlier run"]
    with pytest.raises(OutputError, match="add --overwrite"):
        run(source, target, resume=False)
    watch = Watch()
    with pytest.raises(OutputError, match="add --overwrite"):
        run(source, target, "params.strength=0.5", monitor=watch)
    assert watch.notes == [f"{target} was made by an earlier run, but the settings changed"]
    target.write_bytes(b"something else")
    with pytest.raises(OutputError, match="add --overwrite"):
        run(source, target)


def test_of_many_videos_the_finished_ones_are_not_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        make_video(folder / f"{name}.mp4", FOOTAGE)

    def job(monitor: Watch) -> tuple[VideoReport, ...]:
        settings = (*CUT, "encode.codec=x264", "run.runner=local")
        return pipeline.enhance(folder, tmp_path / "out", settings=settings, monitor=monitor).videos

    class StopInTheSecond(Watch):
        def advanced(self, video: VideoFiles, progress: Progress) -> None:
            self.stop_at = 50 if video.source.endswith("b.mp4") else None
            super().advanced(video, progress)

    with pytest.raises(KeyboardInterrupt):
        job(StopInTheSecond())
    made = (tmp_path / "out" / "a.mp4").stat().st_mtime_ns
    a, b, c = job(Watch())
    assert (tmp_path / "out" / "a.mp4").stat().st_mtime_ns == made
    assert (a.status, b.status, c.status) == ("done", "done", "done")
    assert b.segments_reused >= 1
    assert c.segments_reused == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("a.frames.jsonl", "b.frames.jsonl", "c.frames.jsonl"),
        *("a.mp4", "b.mp4", "c.mp4"),
        "report.html",
        "report.json",
    }
