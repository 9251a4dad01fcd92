"""What a job would do: what is left of each video, and how long that takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.job.plan import JobPlan, plan_finished, plan_inputs
from pipeline.job.video_run import VideoRun
from pipeline.storage.locations import list_files, location_of
from tests.support.jobs import THREE_SEGMENTS, plan_copy, run_tasks
from tests.support.media import make_video


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """Copies videos without loss, in segments of 0.4 s."""
    graph = tmp_path / "copy.yaml"
    graph.write_text(
        "name: copy\nnodes:\n  decode: {type: aminet.decode}\n"
        "  encode: {type: aminet.encode, inputs: {frames: decode.frames}, config: {codec: ffv1}}\n"
    )
    return RunConfig(graph=str(graph), run=RunOptions(segment_s=0.4, threads=1, runner="local"))


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mkv", "b.mkv"):
        make_video(folder / name, THREE_SEGMENTS)
    return folder


def finish_segments(config: RunConfig, source: Path, target: Path, count: int) -> float:
    """Leave what a run leaves that was killed; return the seconds that its segments took."""
    target.parent.mkdir(exist_ok=True)
    graph = load_graph(config)
    plan = plan_copy(source, target, graph)
    planned = plan_finished(plan, {}, overwrite=False, resume=True)
    run = VideoRun(planned, graph, config.run)
    outcomes = run_tasks(graph, run.start()[:count])
    return sum(outcome.result.wall_s for outcome in outcomes if outcome.result)


def planned(source: Path, target: Path, config: RunConfig) -> JobPlan:
    return plan_inputs([str(source)], str(target), config, overwrite=False, resume=True)


def test_what_is_left_counts_and_nothing_is_changed(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    spent_s = finish_segments(config, footage / "b.mkv", out / "b.mkv", 2)
    before = list_files(location_of(tmp_path))
    plan = planned(footage, out, config)
    assert list_files(location_of(tmp_path)) == before
    assert [(v.files.target.name, set(v.done), v.segments_left) for v in plan.videos] == [
        ("a.mkv", set(), 3),
        ("b.mkv", {0, 1}, 1),
    ]
    assert [v.plan.frames for v in plan.videos if v.plan] == [30, 30]
    assert plan.runner[0] == "local"
    assert plan.problem is None
    assert plan.estimate_s == pytest.approx(40 * spent_s / 20)


def test_segments_of_other_settings_do_not_count_and_the_reason_is_told(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    finish_segments(config, footage / "b.mkv", tmp_path / "out.mkv", 3)
    changed = config.model_copy(update={"nodes": {"encode": {"codec": "x264"}}})
    (video,) = planned(footage / "b.mkv", tmp_path / "out.mkv", changed).videos
    assert (video.done, video.segments_left) == ({}, 3)
    assert video.redo_reason == "the settings changed"


def test_a_video_that_cannot_be_read_is_named_and_the_others_are_planned(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    (footage / "broken.mp4").write_bytes(b"no video at all")
    plan = planned(footage, tmp_path / "out", config)
    assert [video.segments_left for video in plan.videos] == [3, 3, 0]
    assert [video.error is None for video in plan.videos] == [True, True, False]
    assert "broken.mp4" in str(plan.videos[2].error)
    assert str(plan.problem) == "1 of 3 videos cannot be done"
