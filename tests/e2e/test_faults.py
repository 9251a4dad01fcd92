"""Real kills of real processes: the output is complete and nothing finished is done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.faults import (
    assert_complete,
    descendants,
    install_plugin,
    manifests,
    times_while,
    wait_for,
    wait_until_gone,
)
from tests.support.media import AudioTrack, Video, make_video

pytestmark = pytest.mark.filterwarnings("default")

FOOTAGE = Video(frames=90, gop_frames=10, b_frames=2, audio=(AudioTrack(duration_s=3.5),))
GRAPH = """
name: slow
nodes:
  decode: {type: aminet.decode}
  slow: {type: faulty.slow, inputs: {frames: decode.frames}, config: {%s}}
  encode: {type: aminet.encode, inputs: {frames: slow.frames}, config: {codec: ffv1}}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return install_plugin(tmp_path)


def start(
    plugin: Path,
    inputs: Path,
    target: Path,
    slow: str = "",
    *more: str,
    command: str = "enhance",
    patch: str = "",
) -> subprocess.Popen[str]:
    settings = ["run.segment_s=0.7", "run.threads=2", "run.workers=2", *more]
    return faults.start(
        inputs,
        target,
        settings,
        graph=GRAPH % slow,
        plugin=plugin,
        command=command,
        patch=patch,
    )


@pytest.mark.parametrize("runner", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_killed_driver_run_again_does_only_what_is_missing(
    tmp_path: Path, plugin: Path, runner: str
) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mov"
    more = (f"run.runner={runner}", "encode.codec=x264", "encode.options={qp: '0'}")
    run = start(plugin, source, target, "delay_s: 0.03", *more)
    wait_for(run, target, 2)
    workers = list(descendants(run.pid, "ray::SegmentWorker"))
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)
    # They may finish a segment after their driver has died.
    wait_until_gone(workers)
    kept = manifests(target)
    assert not target.exists()

    again = start(plugin, source, target, "delay_s: 0.03", *more)
    seen = times_while(again, target)
    output, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert f"finished by an earlier run: {len(kept)} of 5 segments" in output
    for name, manifest in kept.items():
        assert seen[name]["finished_utc"] == manifest["finished_utc"]
    assert_complete(source, target)


DIES_AT = """
import os, signal
import pipeline.job.finish, pipeline.job.job, pipeline.job.video_run
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
{} = die
"""


@pytest.mark.parametrize(
    ("moment", "made"),
    [
        pytest.param("pipeline.job.finish.publish", False, marks=pytest.mark.slow),
        ("pipeline.job.job._Job.save", True),
        pytest.param("pipeline.job.video_run.VideoRun.forget", True, marks=pytest.mark.slow),
    ],
    ids=["before the output has its name", "before the report", "before the segments are gone"],
)
def test_a_run_killed_around_its_end_knows_its_output_again(
    tmp_path: Path, plugin: Path, moment: str, made: bool
) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=40, gop_frames=10))
    target, more = tmp_path / "out.mkv", ("delay_s: 0", "run.runner=local")
    run = start(plugin, source, target, *more, patch=DIES_AT.format(moment))
    _, errors = run.communicate(timeout=90)
    assert run.returncode == -signal.SIGKILL, errors
    assert target.exists() == made
    before = target.stat().st_mtime_ns if made else None

    again = start(plugin, source, target, *more)
    output, errors = again.communicate(timeout=90)
    assert again.returncode == 0, errors
    said = "done by an earlier run" if made else "finished by an earlier run: 2 of 2 segments"
    assert said in output
    assert not made or target.stat().st_mtime_ns == before
    report = json.loads((tmp_path / "out.report.json").read_text(encoding="utf-8"))
    assert [video["status"] for video in report["videos"]] == ["done"]
    assert_complete(source, target)


def test_the_same_command_at_the_same_time_is_told_who_runs(tmp_path: Path, plugin: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    first = start(plugin, source, target, "delay_s: 0.03", "run.runner=local")
    wait_for(first, target, 1)
    first.send_signal(signal.SIGSTOP)  # on a busy machine the second starts slowly
    second = start(plugin, source, target, "delay_s: 0.03", "run.runner=local")
    _, errors = second.communicate(timeout=90)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"another run writes there already: process {first.pid} of " in errors
    assert str(source) in errors
    _, errors = first.communicate(timeout=90)
    assert first.returncode == 0, errors
    assert_complete(source, target)


@pytest.mark.slow
def test_a_killed_worker_loses_only_its_own_segment(tmp_path: Path, plugin: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mov"
    pids = tmp_path / "pids"
    pids.mkdir()
    more = ("run.runner=ray", "encode.codec=x264", "encode.options={qp: '0'}")
    run = start(plugin, source, target, f"delay_s: 0.04, pids: {pids}", *more)
    before = wait_for(run, target, 1)
    victim = int(sorted(path.name for path in pids.iterdir())[-1])
    os.kill(victim, signal.SIGKILL)
    seen = times_while(run, target)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors
    for name, manifest in before.items():
        assert seen[name]["finished_utc"] == manifest["finished_utc"]
    report = json.loads((tmp_path / "out.report.json").read_text(encoding="utf-8"))
    assert report["videos"][0]["attempts"] == 2
    assert_complete(source, target)


@pytest.mark.slow
def test_a_poisoned_segment_fails_its_video_alone_and_the_rest_is_kept(
    tmp_path: Path, plugin: Path
) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    bad = make_video(footage / "bad.mp4", FOOTAGE)
    good = make_video(footage / "good.mp4", Video(frames=20))
    last_s = 3.2
    more = ("run.runner=ray", "run.attempts=2", "encode.codec=x264", "encode.options={qp: '0'}")
    ticks = int(last_s * 12_800)
    run = start(plugin, footage, tmp_path / "out", f"delay_s: 0, die_at_pts: {ticks}", *more)
    output, errors = run.communicate(timeout=120)
    assert run.returncode == 4, errors
    assert "1 of 2 videos failed" in errors
    assert "bad.mp4: FAILED: segment 5 of 5 failed" in output
    assert "4 of 5 segments are finished and kept" in output
    assert_complete(good, tmp_path / "out" / "good.mp4")
    assert sorted(manifests(tmp_path / "out" / "bad.mp4")) == [f"{n:05d}" for n in range(4)]
    assert bad.exists()


def test_a_terminated_run_keeps_finished_segments_and_says_so(tmp_path: Path, plugin: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    run = start(plugin, source, target, "delay_s: 0.03", "run.runner=local")
    wait_for(run, target, 1)
    run.send_signal(signal.SIGTERM)
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert "segments are finished and kept" in output
    assert "the same command goes on from there" in output
    assert not list(tmp_path.glob(".out.mkv.aminet-part/*.part"))


def test_plan_tells_what_is_done_and_changes_nothing(tmp_path: Path, plugin: Path) -> None:
    source, target = make_video(tmp_path / "v.mp4", FOOTAGE), tmp_path / "out.mkv"
    more = ("delay_s: 0.03", "run.runner=local")

    def told(slow: str = more[0]) -> str:
        run = start(plugin, source, target, slow, more[1], command="plan")
        output, errors = run.communicate(timeout=60)
        assert run.returncode == 0, errors
        return output

    assert "90 frames in 5 segments\n" in told()
    assert "\n5 segments to do, local runner" in told()
    assert sorted(tmp_path.glob("*out*")) == []
    run = start(plugin, source, target, *more)
    wait_for(run, target, 1)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    kept = manifests(target)
    assert f"90 frames in 5 segments, {len(kept)} of them done" in told()
    assert "of one worker's time" in told()
    assert "cannot be used: the settings changed" in told("delay_s: 0.02")
    assert manifests(target) == kept
    run = start(plugin, source, target, *more)
    run.communicate(timeout=60)
    assert told().endswith("done by an earlier run\nnothing is left to do\n")
