"""One video of a job: what is taken up, what is run, what is kept, and the finished file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from upath import UPath

from nodes.encode import EncodeConfig
from nodes.encode.writer import VIDEO_FILE
from nodes.errors import MediaError
from pipeline.config import RunOptions
from pipeline.errors import OutputError, RunFailedError
from pipeline.graph.graph import Graph
from pipeline.job.earlier import finished_report, finished_segments, own_record
from pipeline.job.files import VideoFiles
from pipeline.job.plan import plan_finished
from pipeline.job.report import VideoReport
from pipeline.job.video_plan import VideoPlan
from pipeline.job.video_run import VideoRun
from pipeline.run.contract import Progress
from pipeline.run.task import Task, TaskOutcome
from pipeline.segments.store import SegmentStore
from pipeline.storage.digests import file_sha256
from tests.support.jobs import THREE_SEGMENTS, FailConfig, copy_graph, plan_copy, run_tasks
from tests.support.media import decode_all, make_video, packets_of
from tests.support.video_nodes import same_pixels

COPY = copy_graph()


@pytest.fixture
def plan(tmp_path: Path) -> VideoPlan:
    """A video of three segments, ready to be copied to `out.mkv`."""
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    return plan_copy(source, tmp_path / "out.mkv", COPY)


def run_of(plan: VideoPlan, graph: Graph = COPY, *, resume: bool = True) -> VideoRun:
    planned = plan_finished(plan, {}, overwrite=False, resume=resume)
    return VideoRun(planned, graph, RunOptions())


def work(run: VideoRun, tasks: Sequence[Task], graph: Graph = COPY) -> list[Exception | None]:
    """Run tasks and let the video take note; return what it says of each."""
    return [run.take(outcome) for outcome in run_tasks(graph, tasks)]


def killed_after(plan: VideoPlan, segments: int) -> None:
    """Leave what a run leaves that was killed with so many segments finished."""
    run = run_of(plan)
    assert work(run, run.start()[:segments]) == [None] * segments


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def work_dir(plan: VideoPlan) -> Path:
    return Path(str(plan.video.work_dir))


def test_all_segments_become_one_file_with_the_sound_of_the_source(
    plan: VideoPlan, tmp_path: Path
) -> None:
    run = run_of(plan)
    tasks = run.start()
    assert (len(tasks), run.total, run.done, run.ended) == (3, 3, 0, False)
    assert work(run, tasks) == [None, None, None]
    assert (run.done, run.ended, run.notes) == (3, True, ())
    report = run.finish()
    source, target = tmp_path / "v.mkv", tmp_path / "out.mkv"
    assert (report.status, report.frames, report.segments) == ("done", 30, 3)
    assert report.output_bytes == target.stat().st_size
    assert report.why_whole is None
    assert same_pixels(decode_all(target), decode_all(source))
    assert [f.pts for f in decode_all(target)] == [f.pts for f in decode_all(source)]
    assert packets_of(target, 1) == packets_of(source, 1)


def test_nothing_is_published_by_a_run_that_lost_its_lock(plan: VideoPlan, tmp_path: Path) -> None:
    run = run_of(plan)
    work(run, run.start())

    def lost() -> None:
        raise OutputError("another took its place")

    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match="another took its place"):
        run.finish(lost)
    assert sorted(tmp_path.iterdir()) == before
    assert set(SegmentStore(plan.video.work_dir).finished()) == {0, 1, 2}


def test_segments_stay_until_the_video_is_reported(plan: VideoPlan) -> None:
    run = run_of(plan)
    work(run, run.start())
    run.finish()
    assert set(SegmentStore(plan.video.work_dir).finished()) == {0, 1, 2}
    run.forget()
    assert not work_dir(plan).exists()


def test_tasks_may_end_in_any_order(plan: VideoPlan, tmp_path: Path) -> None:
    run = run_of(plan)
    work(run, run.start()[::-1])
    decoded = run.finish().nodes["decode"]
    assert (decoded["first_pts"], decoded["last_pts"]) == (0, 1160)
    assert same_pixels(decode_all(tmp_path / "out.mkv"), decode_all(tmp_path / "v.mkv"))


def test_progress_adds_up_over_the_segments(plan: VideoPlan) -> None:
    run = run_of(plan)
    first, second, _ = run.start()
    assert run.advanced(second, Progress(3, 2)) == Progress(3, 2)
    assert run.advanced(first, Progress(4, 1)) == Progress(7, 3)
    assert run.advanced(second, Progress(9, 5)) == Progress(13, 6)
    work(run, [first])
    assert run.advanced(second, Progress(9, 5)) == Progress(19, 5)


def test_what_an_earlier_run_finished_is_not_run_again(plan: VideoPlan, tmp_path: Path) -> None:
    killed_after(plan, 2)
    before = (work_dir(plan) / "00001" / "encode" / VIDEO_FILE).stat().st_mtime_ns
    run = run_of(plan)
    tasks = run.start()
    assert len(tasks) == 1
    assert (run.expected.frames, run.expected.done) == (30, Progress(20, 0))
    assert run.notes == ("finished by an earlier run: 2 of 3 segments",)
    work(run, tasks)
    assert (work_dir(plan) / "00001" / "encode" / VIDEO_FILE).stat().st_mtime_ns == before
    report = run.finish()
    assert (report.segments_reused, report.frames) == (2, 30)
    assert same_pixels(decode_all(tmp_path / "out.mkv"), decode_all(tmp_path / "v.mkv"))


def test_a_run_killed_with_all_segments_finished_has_nothing_left_to_run(plan: VideoPlan) -> None:
    killed_after(plan, 3)
    run = run_of(plan)
    assert run.start() == []
    assert run.ended
    assert run.finish().segments_reused == 3


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("input", "the input changed"),
        ("plan", "the plan changed"),
        ("settings", "the settings changed"),
        ("weights", "the weights changed"),
        ("version", "the version changed"),
    ],
)
def test_segments_of_another_identity_are_done_again_and_the_reason_is_told(
    plan: VideoPlan, field: str, says: str
) -> None:
    killed_after(plan, 2)
    changed = replace(plan, identity=replace(plan.identity, **{field: "another"}))
    assert finished_segments(changed) == ({}, says)
    run = run_of(changed)
    assert len(run.start()) == 3
    assert run.notes == (f"segments of an earlier run were done again: {says}",)
    assert names_in(work_dir(plan)) == set()


def test_a_segment_with_other_cuts_is_done_again(plan: VideoPlan) -> None:
    """The identity's plan says so too; a manifest that contradicts it is not believed."""
    killed_after(plan, 3)
    manifest = work_dir(plan) / "00001" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["interval"]["end_pts"] = 840
    manifest.write_text(json.dumps(content))
    usable, _ = finished_segments(plan)
    assert set(usable) == {0, 2}


def test_without_resume_all_is_done_again(plan: VideoPlan) -> None:
    killed_after(plan, 2)
    run = run_of(plan, resume=False)
    assert len(run.start()) == 3
    assert (run.notes, run.expected.done) == ((), Progress())
    assert names_in(work_dir(plan)) == set()


def test_a_torn_segment_alone_is_done_again(plan: VideoPlan, tmp_path: Path) -> None:
    killed_after(plan, 3)
    file = work_dir(plan) / "00001" / "encode" / VIDEO_FILE
    file.write_bytes(file.read_bytes()[:-50])
    run = run_of(plan)
    tasks = run.start()
    assert len(tasks) == 1
    work(run, tasks)
    assert run.finish().segments_reused == 2
    assert same_pixels(decode_all(tmp_path / "out.mkv"), decode_all(tmp_path / "v.mkv"))


@pytest.fixture
def failing() -> Graph:
    return copy_graph(fail=FailConfig(at_pts=600))


def test_a_failed_segment_fails_the_video_and_keeps_the_others(
    tmp_path: Path, failing: Graph
) -> None:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    plan = plan_copy(source, tmp_path / "out.mkv", failing)
    run = run_of(plan, failing)
    tasks = run.start()
    (tmp_path / ".out.mkv.aminet-part" / "00001.dead.part").mkdir(parents=True)
    good, error, other = work(run, tasks, failing)
    assert (good, other) == (None, None)
    assert isinstance(error, RunFailedError)
    assert str(error) == "segment 2 of 3: node 'fail' (toy.fail): ValueError: the node broke"
    assert isinstance(error.__cause__, ValueError)
    assert run.ended
    with pytest.raises(RunFailedError) as caught:
        run.finish()
    assert caught.value is error
    assert not (tmp_path / "out.mkv").exists()
    assert run.leave() == (
        f"{source}: 2 of 3 segments are finished and kept in {plan.video.work_dir}; the same"
        " command goes on from there"
    )
    assert names_in(work_dir(plan)) == {"00000", "00002"}
    assert set(finished_segments(plan)[0]) == {0, 2}


def test_the_first_of_several_errors_is_the_videos_and_a_known_one_stays_as_it_is(
    plan: VideoPlan,
) -> None:
    run = run_of(plan)
    first, second, third = run.start()
    error = MediaError("the disk broke")
    assert run.take(TaskOutcome(second, error=error)) is error
    assert str(run.take(TaskOutcome(first, error=OSError()))) == (
        "segment 1 of 3 failed (OSError: OSError)"
    )
    assert not run.ended
    assert run.take(TaskOutcome(third, error=KeyError("x\ny"), attempts=3)) is not None
    with pytest.raises(MediaError, match="the disk broke"):
        run.finish()


def test_a_video_of_one_segment_does_not_speak_of_segments(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    run = run_of(plan_copy(source, tmp_path / "out.mkv", COPY, segment_s=0))
    (task,) = run.start()
    error = run.take(TaskOutcome(task, error=ValueError("broke")))
    assert str(error) == "the run failed (ValueError: broke)"


def test_where_nothing_is_finished_nothing_is_left(plan: VideoPlan) -> None:
    run = run_of(plan)
    run.start()
    (work_dir(plan) / "00000.dead.part").mkdir(parents=True)
    assert run.leave() is None
    assert not work_dir(plan).exists()


def test_a_joined_file_that_lacks_frames_is_not_published(plan: VideoPlan, tmp_path: Path) -> None:
    run = run_of(plan)
    work(run, run.start())
    segment = work_dir(plan) / "00002"
    whole = segment / "encode" / VIDEO_FILE
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(RunFailedError, match="is not the segment that was finished here"):
        run.finish()
    manifest = segment / "manifest.json"
    content = json.loads(manifest.read_text())
    name = f"encode/{VIDEO_FILE}"
    content["files"][name], content["sha256"][name] = whole.stat().st_size, file_sha256(whole)
    manifest.write_text(json.dumps(content))
    with pytest.raises(RunFailedError, match=r"holds 2\d of 30 frames, thrown away"):
        run.finish()
    assert not (tmp_path / "out.mkv").exists()
    assert own_record(plan) is None


def test_the_report_counts_the_tries(plan: VideoPlan) -> None:
    run = run_of(plan)
    for number, outcome in enumerate(run_tasks(COPY, run.start())):
        run.take(replace(outcome, attempts=(1, 3, 2)[number]))
    assert run.finish().attempts == 3


def finished(plan: VideoPlan) -> VideoReport:
    run = run_of(plan)
    work(run, run.start())
    return run.finish()


def test_a_run_killed_before_its_output_had_its_name_knows_it_as_its_own(
    plan: VideoPlan, tmp_path: Path
) -> None:
    report = finished(plan)
    record = own_record(plan)
    assert record is not None
    assert replace(record, mux={}) == replace(report, mux={})  # JSON knows no tuples
    assert finished_report(plan, {}) == record
    (tmp_path / "out.mkv").unlink()
    assert own_record(plan) == record
    assert finished_report(plan, {}) is None
    again = replace(plan, identity=replace(plan.identity, settings="another"))
    assert own_record(again) is None


def test_an_output_counts_as_finished_only_as_it_was_written(
    plan: VideoPlan, tmp_path: Path
) -> None:
    report = finished(plan)
    earlier = {plan.video.source: report}
    SegmentStore(plan.video.work_dir).drop()
    assert finished_report(plan, earlier) == report
    elsewhere = VideoFiles(plan.video.source, UPath(tmp_path / "other.mkv"), named=True)
    assert finished_report(replace(plan, video=elsewhere), earlier) is None
    other = replace(plan, identity=replace(plan.identity, weights="another"))
    assert finished_report(other, earlier) is None
    with (tmp_path / "out.mkv").open("ab") as file:
        file.write(b"x")
    assert finished_report(plan, earlier) is None


def test_headers_that_differ_between_segments_are_told_with_a_way_out(tmp_path: Path) -> None:
    """Two runs whose encoders differ, made to look alike by their manifests."""
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    graphs = [
        copy_graph(EncodeConfig(codec="x264", options=options))
        for options in ({"qp": "0"}, {"profile": "baseline", "qp": "20"})
    ]
    plan = plan_copy(source, tmp_path / "out.mkv", graphs[0])
    run = run_of(plan, graphs[0])
    tasks = run.start()
    work(run, tasks[:1], graphs[0])
    work(run, tasks[1:], graphs[1])
    with pytest.raises(MediaError, match=r"run\.segment_s=0"):
        run.finish()
    assert not (tmp_path / "out.mkv").exists()
