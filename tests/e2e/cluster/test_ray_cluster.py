"""The Ray runner on clusters of several machines that grow, shrink and lose them."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.experimental import get_object_locations
from ray.util.placement_group import placement_group_table
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nodes.node import Segment
from pipeline.cluster.runner import RayRunner
from pipeline.cluster.session import machines
from pipeline.config import RunOptions
from pipeline.graph.prepare import prepared
from pipeline.run.contract import Progress
from pipeline.run.task import SegmentTask, Task, TaskOutcome
from pipeline.sizing.spare import PATIENCE_S
from tests.support.faults import kill_raylet
from tests.support.toy_nodes import AddConfig, CountConfig, DoubleConfig, diamond, expected_rows

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
) -> tuple[list[TaskOutcome], dict[str, Any]]:
    """Run segments of about 8 s each, and something else once all first workers have one."""
    graph = diamond(CountConfig(frames=FRAMES), AddConfig(delay_s=0.05))
    work = [SegmentTask(Segment(f"video {i}", folder / str(i), threads=1)) for i in range(segments)]
    for task in work:
        task.segment.work_dir.mkdir()
    todo = [during] if during else []
    under_way: set[Task] = set()
    outcomes: list[TaskOutcome] = []

    def listen(task: Task, at: Progress) -> None:
        if at.frames > 10:
            under_way.add(task)
        if todo and len(under_way) == first:
            todo.pop()()

    joined = RunOptions(address=cluster.address, **options)
    with RayRunner(graph, prepared(graph), joined, threads=1, segments=segments) as runner:
        first = runner.sizing.workers
        for outcome in runner.run(work, listen):
            under_way.discard(outcome.task)
            outcomes.append(outcome)
        report = runner.report()
    assert not todo
    return outcomes, report


def assert_right(outcomes: list[TaskOutcome], segments: int) -> None:
    assert {outcome.task.source for outcome in outcomes} == {f"video {i}" for i in range(segments)}
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.result is not None
        assert outcome.result.reports["sum"]["rows"] == expected_rows(FRAMES)


def workers_of(outcomes: list[TaskOutcome]) -> set[int]:
    return {outcome.result.reports["sum"]["pid"] for outcome in outcomes if outcome.result}


def test_each_machine_restores_its_own_faces(cluster: Cluster, tmp_path: Path) -> None:
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    outcomes, report = run(cluster, tmp_path, segments=4)
    assert_right(outcomes, 4)
    assert (report["workers"], report["enhancers"]) == (2, 2)
    done = {member["machine"]: member["faces"] for member in report["pools"]["double"]}
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
    assert all(member["faces"] for member in report["pools"]["double"])


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
    outcomes, report = run(
        cluster, tmp_path, segments=3, during=lambda: kill_raylet(going), attempts=1
    )
    assert_right(outcomes, 3)
    assert report["workers_lost"] >= 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("wish", ["workers", "enhancers"])
def test_what_replaces_actors_of_a_lost_machine_finds_room_beside_the_others(
    cluster: Cluster, tmp_path: Path, wish: str
) -> None:
    """What was asked for is more than the machine that stays was dealt at first."""
    added = [cluster.add_node(num_cpus=1) for _ in range(2)]
    going = min(added, key=lambda node: node.node_id)  # which has the enhancer if there is one
    outcomes, report = run(
        cluster,
        tmp_path,
        segments=4,
        during=lambda: cluster.remove_node(going, allow_graceful=False),
        **{wish: 2 if wish == "workers" else 1},
    )
    assert_right(outcomes, 4)
    assert report["workers_lost"] >= 1


def hold(cluster: Cluster, machine: Any, cpus: int, gpus: int = 0) -> Any:
    """Let another job hold cores and GPUs of a machine; return its actor."""
    ray.init(cluster.address, ignore_reinit_error=True, log_to_driver=False)
    there = NodeAffinitySchedulingStrategy(machine.node_id, soft=False)
    # Detached, or it would end, and let go, as soon as a test drops what is returned here.
    other: Any = (
        ray.remote(Other)
        .options(
            num_cpus=cpus,
            num_gpus=gpus,
            scheduling_strategy=there,
            lifetime="detached",
            name="other",
        )
        .remote()
    )
    assert ray.get(other.node.remote()) == machine.node_id
    end = time.monotonic() + 30
    while True:
        (at,) = (found for found in machines() if found.name == machine.node_id)
        if (at.free_cpus, at.free_gpus) == (at.cpus - cpus, at.gpus - gpus):
            return other
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.timeout(240)
def test_a_machine_that_another_job_fills_holds_up_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1)
    hold(cluster, cluster.add_node(num_cpus=1), 1)
    outcomes, report = run(cluster, tmp_path, segments=3)
    assert_right(outcomes, 3)
    assert report["workers"] == len(workers_of(outcomes)) == 1


@pytest.mark.timeout(240)
def test_half_a_machine_that_another_job_holds_is_left_to_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Sized for the whole machine, one actor would take what is left, and wait for the others."""
    hold(cluster, cluster.add_node(num_cpus=2), 1)
    outcomes, report = run(cluster, tmp_path, segments=2)
    assert_right(outcomes, 2)
    (placement,) = report["placements"]
    assert (placement["cpus"], placement["workers"], placement["enhancers"]) == (1, 1, 1)


def test_gpus_that_another_job_holds_are_left_to_it(cluster: Cluster, tmp_path: Path) -> None:
    hold(cluster, cluster.add_node(num_cpus=3, num_gpus=2), 1, gpus=1)
    outcomes, report = run(cluster, tmp_path, segments=2)
    assert_right(outcomes, 2)
    (placement,) = report["placements"]
    assert (placement["cpus"], placement["enhancers"], placement["enhancer_gpus"]) == (2, 1, 1)
    assert len(report["pools"]["double"]) == 1


@pytest.mark.timeout(180)
def test_a_run_whose_gpus_are_held_runs_on_cpus_until_there_are_some(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = hold(cluster, cluster.add_node(num_cpus=2, num_gpus=1), 0, gpus=1)
    graph = diamond(CountConfig(frames=FRAMES), AddConfig(delay_s=0.05))
    work = [SegmentTask(Segment(f"video {i}", tmp_path, threads=1)) for i in range(3)]
    options = RunOptions(address=cluster.address)
    gpus: list[float] = []

    def listen(task: Task, at: Progress) -> None:
        gpus.append(sum(claims.gpus for claims in runner._fleet.claims.values()))
        if at.frames > 10 and task is work[0]:
            ray.kill(other)

    with RayRunner(graph, prepared(graph), options, threads=1, segments=3) as runner:
        assert_right(list(runner.run(work, listen)), 3)
        members = runner.report()["pools"]["double"]
    assert (gpus[0], gpus[-1]) == (0, 1)
    assert len(members) == 2
    assert all(member["faces"] for member in members)
    told = [record.message for record in caplog.records if "GPUs" in record.message]
    assert told == [
        "other jobs hold the cluster's GPUs (1): the network runs on CPUs for now",
        "there are GPUs for the network now",
    ]


@pytest.mark.timeout(180)
def test_a_run_without_room_says_so_and_goes_on_when_there_is_some(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = hold(cluster, cluster.add_node(num_cpus=2), 2)
    threading.Timer(PATIENCE_S + 6, ray.kill, [other]).start()
    # So many that what is asked of an autoscaler takes all the room that there will be.
    work = [SegmentTask(Segment(f"video {i}", tmp_path, threads=1)) for i in range(4)]
    options = RunOptions(address=cluster.address)
    graph = diamond(CountConfig(frames=FRAMES))
    with RayRunner(graph, prepared(graph), options, threads=1, segments=4) as runner:
        assert runner.sizing.workers == 0
        assert_right(list(runner.run(work, lambda *_: None)), 4)
        assert runner.report()["workers"] == 2
    told = [record.message for record in caplog.records if "room" in record.message]
    assert told == [
        "waiting for room on the cluster: asked for 1 CPU, 0 of 2 free",
        "there is room on the cluster now, going on",
    ]


def test_what_a_node_loads_is_read_where_the_run_starts_and_kept_once_a_machine(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Two enhancers on each of two machines, one of them killed: none of them reads the file."""
    added = {cluster.add_node(num_cpus=2).node_id for _ in range(2)}
    file, pid_file = tmp_path / "weights", tmp_path / "pid"
    file.write_bytes(bytes(1_000_000))
    graph = diamond(
        CountConfig(frames=FRAMES),
        AddConfig(delay_s=0.05),
        DoubleConfig(file=str(file), pid_file=pid_file),
    )
    work = [SegmentTask(Segment(f"video {i}", tmp_path, threads=1)) for i in range(4)]
    victims: list[int] = []

    def kill(task: Task, at: Progress) -> None:
        if at.frames > 10 and not victims:
            victims.append(int(pid_file.read_text(encoding="utf-8")))
            os.kill(victims[0], signal.SIGKILL)

    options = RunOptions(address=cluster.address, enhancers=4)
    with RayRunner(graph, prepared(graph), options, threads=1, segments=4) as runner:
        file.unlink()
        assert_right(list(runner.run(work, kill)), 4)
        end = time.monotonic() + 60
        while len(members := runner.report()["pools"]["double"]) < 4:  # one starts again
            assert time.monotonic() < end
            time.sleep(0.5)
        shared = runner._fleet._prepared_pools["double"]
        (at,) = get_object_locations([pickle.loads(shared.ticket)]).values()  # noqa: S301
    assert sorted(Counter(member["machine"] for member in members).values()) == [2, 2]
    assert [member["restarted"] for member in members].count(True) == 1
    assert {member["machine"] for member in members} == added
    assert added < set(at["node_ids"])
    assert at["object_size"] < 1_010_000


class Other:
    """An actor of somebody else."""

    def node(self) -> str:
        return ray.get_runtime_context().get_node_id()


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
    work = [SegmentTask(Segment(f"video {i}", tmp_path, threads=1)) for i in range(4)]
    options = RunOptions(address=cluster.address)
    with RayRunner(graph, prepared(graph), options, threads=1, segments=4) as runner:
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
