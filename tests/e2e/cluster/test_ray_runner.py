"""The Ray runner against the local one, with real actors and real kills."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayActorError

from nodes.node import Segment
from pipeline.cluster.fleet import RESTARTS
from pipeline.cluster.runner import RayRunner
from pipeline.config import RunOptions
from pipeline.errors import ClusterError, NodeFailedError
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.run.contract import Progress
from pipeline.run.task import SegmentTask, TaskOutcome
from tests.support.toy_nodes import AddConfig, CountConfig, DoubleConfig, diamond, expected_rows

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One embedded Ray for all tests here: it takes seconds to start."""
    with RayRunner(diamond(), prepared(diamond()), RunOptions(), threads=2, segments=1) as runner:
        runner.release()
        yield


def run(graph: Graph, tmp_path: Path, segments: int = 1, **options: Any) -> list[TaskOutcome]:
    work = [SegmentTask(Segment(f"video {i}", tmp_path, threads=1)) for i in range(segments)]
    with RayRunner(
        graph, prepared(graph), RunOptions(**options), threads=2, segments=segments
    ) as runner:
        return list(runner.run(work, lambda *_: None))


def rows(outcome: TaskOutcome) -> Any:
    if outcome.error:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result.reports["sum"]["rows"]


def test_many_segments_give_what_the_local_runner_gives(tmp_path: Path) -> None:
    outcomes = run(diamond(CountConfig(frames=40)), tmp_path, segments=4)
    assert {outcome.task.source for outcome in outcomes} == {f"video {i}" for i in range(4)}
    assert [rows(outcome) for outcome in outcomes] == [expected_rows(40)] * 4


def test_an_error_of_a_node_arrives_as_itself(tmp_path: Path) -> None:
    (outcome,) = run(diamond(double=DoubleConfig(fail_at=6)), tmp_path)
    assert isinstance(outcome.error, NodeFailedError)
    assert str(outcome.error) == "node 'double' (toy.double): ValueError: pool broke"
    assert outcome.attempts == 1


def test_a_packet_that_cannot_travel_is_an_error_and_not_a_wait_without_end(
    tmp_path: Path,
) -> None:
    (outcome,) = run(diamond(CountConfig(stuck_at=4)), tmp_path)
    assert isinstance(outcome.error, NodeFailedError)
    assert "node 'double' (toy.double): TypeError: Could not serialize" in str(outcome.error)


def test_segments_run_side_by_side(tmp_path: Path) -> None:
    # More segments than workers: the second may be there seconds after the first.
    graph = diamond(CountConfig(frames=100), AddConfig(delay_s=0.02))
    outcomes = run(graph, tmp_path, segments=4, workers=2)
    reports = [outcome.result.reports["sum"] for outcome in outcomes if outcome.result]
    spans = sorted((r["began_s"], r["ended_s"]) for r in reports)
    assert len(spans) == 4
    assert any(later[0] < earlier[1] for earlier, later in pairwise(spans))


def kill_after(path: Path, delay_s: float) -> threading.Thread:
    """SIGKILL the process whose number appears in a file."""

    def kill() -> None:
        while not path.exists() or not path.read_text():
            time.sleep(0.02)
        time.sleep(delay_s)
        os.kill(int(path.read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_is_replaced_and_its_segment_done_again(tmp_path: Path) -> None:
    graph = diamond(CountConfig(frames=40, pid_file=tmp_path / "pid"), AddConfig(delay_s=0.02))
    killer = kill_after(tmp_path / "pid", 0.2)
    (outcome,) = run(graph, tmp_path)
    killer.join()
    assert rows(outcome) == expected_rows(40)
    assert outcome.attempts == 2


def test_a_segment_that_always_kills_its_worker_is_given_up_and_the_rest_done(
    tmp_path: Path,
) -> None:
    graph = diamond(CountConfig(die_on="video 1"))
    outcomes = {o.task.source: o for o in run(graph, tmp_path, segments=3, attempts=2)}
    assert isinstance(outcomes["video 1"].error, RayActorError)
    assert outcomes["video 1"].attempts == 2
    assert rows(outcomes["video 0"]) == rows(outcomes["video 2"]) == expected_rows(10)


def test_a_killed_enhancer_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    graph = diamond(
        CountConfig(frames=60),
        AddConfig(delay_s=0.01),
        DoubleConfig(delay_s=0.02, pid_file=tmp_path / "pid"),
    )
    killer = kill_after(tmp_path / "pid", 0.3)
    (outcome,) = run(graph, tmp_path)
    killer.join()
    assert rows(outcome) == expected_rows(60)
    assert outcome.attempts == 1


def test_an_enhancer_that_cannot_be_made_ends_the_run_and_says_why(tmp_path: Path) -> None:
    outcomes = run(diamond(double=DoubleConfig(fail_in_setup=True)), tmp_path, segments=2)
    assert [outcome.attempts for outcome in outcomes] == [1, 1]
    for outcome in outcomes:
        assert isinstance(outcome.error, ClusterError)
        assert "enhancers of node 'double' failed as they started" in str(outcome.error)
        assert "ValueError: no such weights" in str(outcome.error)


@pytest.mark.slow
def test_an_enhancer_that_worked_is_made_anew_when_ray_gives_it_up(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    graph = diamond(CountConfig(frames=2000), double=DoubleConfig(delay_s=0.02, pid_file=pid_file))
    killed: list[str] = []

    def kill_often() -> None:
        for _ in range(RESTARTS + 1):
            kill_after(pid_file, 0.3).join()
            killed.append(pid_file.read_text())
            pid_file.unlink()

    threading.Thread(target=kill_often, daemon=True).start()
    (outcome,) = run(graph, tmp_path)
    assert len(set(killed)) == RESTARTS + 1
    assert rows(outcome) == expected_rows(2000)
    assert outcome.attempts == 1


@pytest.mark.slow
def test_an_enhancer_that_is_killed_at_every_start_ends_the_run_and_says_so(
    tmp_path: Path,
) -> None:
    (outcome,) = run(diamond(double=DoubleConfig(die_in_setup=True)), tmp_path)
    assert isinstance(outcome.error, ClusterError)
    assert "enhancers of node 'double' were killed 6 times" in str(outcome.error)


def test_progress_is_told_while_a_segment_runs(tmp_path: Path) -> None:
    told: list[Progress] = []
    graph = diamond(CountConfig(frames=100), AddConfig(delay_s=0.02))
    with RayRunner(graph, prepared(graph), RunOptions(), threads=2, segments=1) as runner:
        task = SegmentTask(Segment("video", tmp_path, threads=1))
        list(runner.run([task], lambda _, progress: told.append(progress)))
    assert any(0 < progress.frames < 100 for progress in told)
