"""The Ray runner on clusters of several machines that grow, shrink and lose them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table

from nodes.node import Segment
from pipeline.config import RunOptions
from pipeline.ray_runner import RayRunner
from pipeline.runner import Progress, SegmentOutcome
from tests.toy_nodes import AddConfig, CountConfig, diamond, expected_rows

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FRAMES = 160


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without cores, so that losing a machine does not lose the driver's."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    ray.shutdown()
    made.shutdown()


def run(
    cluster: Cluster,
    folder: Path,
    segments: int,
    during: Callable[[], None] | None = None,
    **options: Any,
) -> tuple[list[SegmentOutcome], dict[str, Any]]:
    """Run segments of about 8 s each, and something else once every first worker has begun."""
    graph = diamond(CountConfig(frames=FRAMES), AddConfig(delay_s=0.05))
    work = [Segment(f"video {i}", folder / str(i), threads=1) for i in range(segments)]
    for segment in work:
        segment.work_dir.mkdir()
    todo = [during] if during else []
    begun: set[Segment] = set()

    def listen(segment: Segment, at: Progress) -> None:
        if at.frames > 10:
            begun.add(segment)
        if todo and len(begun) == first:
            todo.pop()()

    joined = RunOptions(address=cluster.address, **options)
    with RayRunner(graph, joined, threads=1, segments=segments) as runner:
        first = runner.sizing.workers
        outcomes = list(runner.run(work, listen))
        report = runner.report()
    assert not todo
    return outcomes, report


def assert_right(outcomes: list[SegmentOutcome], segments: int) -> None:
    assert {outcome.segment.input for outcome in outcomes} == {
        f"video {i}" for i in range(segments)
    }
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.result is not None
        assert outcome.result.reports["sum"]["rows"] == expected_rows(FRAMES)


def workers_of(outcomes: list[SegmentOutcome]) -> set[int]:
    return {outcome.result.reports["sum"]["pid"] for outcome in outcomes if outcome.result}


def test_each_machine_restores_its_own_faces(cluster: Cluster, tmp_path: Path) -> None:
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    outcomes, report = run(cluster, tmp_path, segments=4)
    assert_right(outcomes, 4)
    assert (report["workers"], report["enhancers"]) == (2, 2)
    done = {member["machine"]: member["items"] for member in report["pools"]["double"]}
    assert len(done) == 2
    assert sum(done.values()) == 4 * FRAMES // 2
    assert all(done.values())


def test_a_machine_that_joins_gets_work(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    outcomes, report = run(
        cluster, tmp_path, segments=4, during=lambda: cluster.add_node(num_cpus=1)
    )
    assert_right(outcomes, 4)
    assert len(workers_of(outcomes)) == 2
    assert (report["workers"], report["enhancers"]) == (2, 2)
    assert all(member["items"] for member in report["pools"]["double"])


@pytest.mark.parametrize("gracefully", [False, True])
def test_a_machine_that_leaves_for_good_costs_only_what_it_was_doing(
    cluster: Cluster, tmp_path: Path, gracefully: bool
) -> None:
    cluster.add_node(num_cpus=1)
    going = cluster.add_node(num_cpus=1)
    outcomes, report = run(
        cluster,
        tmp_path,
        segments=3,
        during=lambda: cluster.remove_node(going, allow_graceful=gracefully),
        attempts=1,
    )
    assert_right(outcomes, 3)
    # Its segment was begun again, and is not to blame: even one attempt is enough. A second worker
    # may be lost on the machine before the cluster notices that it is gone.
    assert report["workers_lost"] >= 1
    assert sorted(outcome.attempts > 1 for outcome in outcomes) == [False, False, True]


def test_a_killed_raylet_costs_only_what_it_was_doing(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    going = cluster.add_node(num_cpus=1)
    (raylet,) = going.all_processes["raylet"]
    outcomes, report = run(
        cluster,
        tmp_path,
        segments=3,
        during=lambda: os.kill(raylet.process.pid, signal.SIGKILL),
        attempts=1,
    )
    assert_right(outcomes, 3)
    assert report["workers_lost"] >= 1


def test_a_run_whose_only_machine_went_waits_for_another(cluster: Cluster, tmp_path: Path) -> None:
    going = cluster.add_node(num_cpus=1)

    def replace() -> None:
        cluster.remove_node(going, allow_graceful=False)
        time.sleep(3)
        cluster.add_node(num_cpus=1)

    outcomes, _ = run(cluster, tmp_path, segments=2, during=replace)
    assert_right(outcomes, 2)


def test_an_autoscaler_is_told_what_is_missing(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)

    def waiting() -> int:
        groups = placement_group_table().values()
        return sum(group["state"] in {"PENDING", "INFEASIBLE"} for group in groups)

    def look() -> None:
        assert waiting() == 2
        cluster.add_node(num_cpus=1)

    outcomes, _ = run(cluster, tmp_path, segments=3, during=look)
    assert_right(outcomes, 3)
    ray.init(cluster.address, ignore_reinit_error=True, log_to_driver=False)
    assert waiting() == 0


def test_the_last_segments_need_fewer_machines(cluster: Cluster, tmp_path: Path) -> None:
    for _ in range(3):
        cluster.add_node(num_cpus=1)
    graph = diamond(CountConfig(frames=FRAMES), AddConfig(delay_s=0.05))
    work = [Segment(f"video {i}", tmp_path, threads=1) for i in range(4)]
    options = RunOptions(address=cluster.address)
    with RayRunner(graph, options, threads=1, segments=4) as runner:
        left = runner.run(work, lambda *_: None)
        assert runner.sizing.workers == 3
        for _ in range(3):
            next(left)
        assert len(list(left)) == 1
        assert runner.sizing.workers == 1
        # Two machines are free: an autoscaler could take them away.
        end = time.monotonic() + 30
        while ray.available_resources()["CPU"] < 2:
            assert time.monotonic() < end
            time.sleep(0.2)
