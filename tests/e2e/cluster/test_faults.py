"""Real kills on real footage with real faces, under Ray: right output, nothing done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.support.faults import (
    assert_complete,
    descendants,
    install_plugin,
    kill_raylet,
    manifests,
    start,
    times_while,
    wait_for,
    wait_until_gone,
)
from tests.support.footage import looped
from tests.support.media import Video, decode_all, make_video
from tests.support.video_nodes import largest_difference

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),
]

FRAMES = 100
REAL = ("encode.codec=ffv1", "run.segment_s=0.8", "run.threads=2")
ON_RAY = (*REAL, "run.runner=ray", "run.workers=2")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Footage of a face, and what the local runner makes of it undisturbed."""
    folder = tmp_path_factory.mktemp("footage")
    source = looped(folder / "face.mp4", FRAMES)
    run = start(source, folder / "local.mkv", (*REAL, "run.runner=local"))
    _, errors = run.communicate(timeout=600)
    assert run.returncode == 0, errors
    return source, folder / "local.mkv"


def report_of(target: Path) -> dict[str, Any]:
    return json.loads(target.with_suffix(".report.json").read_text(encoding="utf-8"))


@dataclass
class Running:
    """A run that is to be disturbed, and what was finished before."""

    run: subprocess.Popen[str]
    target: Path
    local: Path
    kept: dict[str, Any]

    def victim(self, title: str) -> int:
        """Return one of the processes of that title."""
        return next(descendants(self.run.pid, title))

    def end(self) -> dict[str, Any]:
        """Wait for the end; check the output and that `kept` stayed; return the report."""
        seen = times_while(self.run, self.target)
        _, errors = self.run.communicate(timeout=120)
        assert self.run.returncode == 0, errors
        for name, manifest in self.kept.items():
            assert seen[name]["finished_utc"] == manifest["finished_utc"]
        made, expected = decode_all(self.target), decode_all(self.local)
        assert [frame.pts for frame in made] == [frame.pts for frame in expected]
        assert len(made) == FRAMES
        assert largest_difference(made, expected) <= 1
        report = report_of(self.target)
        assert report["videos"][0]["faces"] == report_of(self.local)["videos"][0]["faces"] > 0
        return report


Begin = Callable[..., Running]


@pytest.fixture
def begin(tmp_path: Path, footage: tuple[Path, Path]) -> Iterator[Begin]:
    """Start the program on the footage and wait until some segments are finished."""
    source, local = footage
    target = tmp_path / "out.mkv"
    started: list[subprocess.Popen[str]] = []

    def begin(segments: int = 1, *settings: str) -> Running:
        run = start(source, target, (*ON_RAY, *settings))
        started.append(run)
        return Running(run, target, local, wait_for(run, target, segments))

    yield begin
    for run in started:
        run.kill()
        run.wait()


def test_a_killed_enhancer_is_replaced_and_its_faces_done_again(begin: Begin) -> None:
    running = begin()
    os.kill(running.victim("ray::EnhancerActor"), signal.SIGKILL)
    report = running.end()
    assert report["videos"][0]["attempts"] == 1
    assert [member["restarted"] for member in report["runner"]["pools"]["enhance"]] == [True]


def test_a_killed_segment_worker_loses_only_its_own_segment(begin: Begin) -> None:
    running = begin()
    os.kill(running.victim("ray::SegmentWorker"), signal.SIGKILL)
    report = running.end()
    assert report["videos"][0]["attempts"] == 2
    assert report["runner"]["workers_lost"] == 1


def test_a_killed_driver_run_again_does_only_what_is_missing(begin: Begin) -> None:
    first = begin(2)
    workers = list(descendants(first.run.pid, "ray::SegmentWorker"))
    first.run.send_signal(signal.SIGKILL)
    first.run.communicate(timeout=120)
    # They may finish a segment after their driver has died.
    wait_until_gone(workers)
    kept = manifests(first.target)
    again = begin(len(kept))
    again.kept = kept
    assert again.end()["videos"][0]["segments_reused"] == len(kept)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without cores, so that losing a machine does not lose the driver's."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    made.shutdown()


@pytest.mark.parametrize("loss", ["raylet killed", "machine removed for good"])
def test_a_lost_machine_costs_only_the_segments_on_it(
    cluster: Cluster, begin: Begin, loss: str
) -> None:
    cluster.add_node(num_cpus=1)
    going = cluster.add_node(num_cpus=1)
    running = begin(2, f"run.address={cluster.address}", "run.attempts=1")
    if loss == "raylet killed":
        kill_raylet(going)
    else:
        cluster.remove_node(going, allow_graceful=False)
    assert running.end()["runner"]["workers"] == 2


POISONED = """
name: poisoned
nodes:
  decode: {type: aminet.decode}
  mark: {type: faulty.marked, inputs: {frames: decode.frames}}
  far: {type: faulty.pool, inputs: {marks: mark.marks}, config: {die_at_pts: %d}}
  join: {type: faulty.joined, inputs: {frames: decode.frames, marks: far.marks}}
  encode: {type: aminet.encode, inputs: {frames: join.frames}, config: {codec: ffv1}}
"""


def test_frames_that_crash_every_enhancer_fail_their_video_alone(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    make_video(footage / "bad.mp4", Video(frames=90, gop_frames=10))
    good = make_video(footage / "good.mp4", Video(frames=40, gop_frames=10))
    out = tmp_path / "out"
    run = start(
        footage,
        out,
        ("run.segment_s=0.7", "run.threads=2", "run.workers=2", "run.runner=ray"),
        graph=POISONED % (80 * 512),
        plugin=install_plugin(tmp_path),
    )
    output, errors = run.communicate(timeout=800)
    assert run.returncode == 4, errors
    assert "bad.mp4: FAILED" in output
    assert "crashed 4 enhancers" in output
    assert "4 of 5 segments are finished and kept" in output
    (made,) = (path for path in out.glob("good.*") if path.suffix in {".mkv", ".mp4", ".mov"})
    assert_complete(good, made)


GREEDY = """
name: greedy
nodes:
  decode: {type: aminet.decode}
  slow: {type: faulty.slow, inputs: {frames: decode.frames}, config: {eat_mb: %d, eat_once: %s}}
  encode: {type: aminet.encode, inputs: {frames: slow.frames}, config: {codec: ffv1}}
"""
EATEN_MB = 4000


def memory_share(spare_mb: int) -> float:
    """Return the share of this machine's memory that is in use when so much more is."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    total = kilobytes["MemTotal"]
    return (total - kilobytes["MemAvailable"] + spare_mb * 1024) / total


def test_a_worker_killed_for_its_memory_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray's own monitor kills, long before the kernel would.
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{memory_share(EATEN_MB - 1500):.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    source = make_video(tmp_path / "v.mp4", Video(frames=90, gop_frames=10))
    target, once = tmp_path / "out.mkv", tmp_path / "eaten"
    run = start(
        source,
        target,
        ("run.segment_s=0.7", "run.threads=1", "run.workers=1", "run.runner=ray"),
        graph=GREEDY % (EATEN_MB, once),
        plugin=install_plugin(tmp_path),
    )
    _, errors = run.communicate(timeout=800)
    assert run.returncode == 0, errors
    assert once.exists()
    report = report_of(target)
    assert report["videos"][0]["attempts"] == 2
    assert report["runner"]["workers_lost"] == 1
    assert_complete(source, target)
