"""What a job would do: its runner, what is left of each video, and how long that takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.job.segments import choose_runner
from pipeline.job.video_run import VideoRun
from pipeline.overview import overview
from pipeline.storage.places import list_files, place_of
from tests.support.jobs import THREE_SEGMENTS, plan_copy, run_tasks
from tests.support.media import make_video


def chosen(
    requested: str,
    *,
    videos: int = 1,
    segments: int = 1,
    cores: int = 2,
    address: str | None = None,
) -> str:
    return choose_runner(requested, videos=videos, segments=segments, cores=cores, address=address)[
        0
    ]


def test_one_short_video_runs_without_ray() -> None:
    assert chosen("auto") == "local"
    assert chosen("auto", segments=2, cores=16) == "local"


def test_a_long_video_takes_ray_where_there_are_cores_for_it() -> None:
    assert chosen("auto", segments=50, cores=16) == "ray"
    assert chosen("auto", segments=50, cores=2) == "local"


def test_several_videos_or_an_address_take_ray() -> None:
    assert chosen("auto", videos=2, segments=2) == "ray"
    assert chosen("auto", address="auto") == "ray"


def test_what_was_asked_for_is_taken() -> None:
    assert chosen("local", videos=9, segments=90, cores=64) == "local"
    assert chosen("ray") == "ray"


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
    run = VideoRun(plan_copy(source, target, graph), graph, config.run, resume=True)
    outcomes = run_tasks(graph, run.start()[:count])
    return sum(outcome.result.wall_s for outcome in outcomes if outcome.result)


def test_what_is_left_counts_and_nothing_is_changed(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    spent_s = finish_segments(config, footage / "b.mkv", out / "b.mkv", 2)
    before = list_files(place_of(tmp_path))
    plan = overview([str(footage)], str(out), config)
    assert list_files(place_of(tmp_path)) == before
    assert [(Path(v.target).name, v.frames, v.done, v.to_do) for v in plan.videos] == [
        ("a.mkv", 30, (), 3),
        ("b.mkv", 30, (0, 1), 1),
    ]
    assert plan.runner == "local"
    assert plan.estimate_s == pytest.approx(40 * spent_s / 20)


def test_segments_of_other_settings_do_not_count_and_the_reason_is_told(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    finish_segments(config, footage / "b.mkv", tmp_path / "out.mkv", 3)
    changed = config.model_copy(update={"nodes": {"encode": {"codec": "x264"}}})
    (video,) = overview([str(footage / "b.mkv")], str(tmp_path / "out.mkv"), changed).videos
    assert (video.done, video.to_do, video.redo_reason) == ((), 3, "the settings changed")


def test_a_video_that_cannot_be_read_is_named_and_the_others_are_planned(
    config: RunConfig, footage: Path, tmp_path: Path
) -> None:
    (footage / "broken.mp4").write_bytes(b"no video at all")
    plan = overview([str(footage)], str(tmp_path / "out"), config)
    assert [video.to_do for video in plan.videos] == [3, 3, 0]
    assert [video.error is None for video in plan.videos] == [True, True, False]
    assert "broken.mp4" in (plan.videos[2].error or "")
