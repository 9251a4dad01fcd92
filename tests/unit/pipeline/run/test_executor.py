"""The executor and the local runner: order, joins, memory bound, failures."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aminet.files import read_file
from nodes.node import Segment
from pipeline.config import RunOptions
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.run.contract import Progress
from pipeline.run.executor import SegmentExecutor
from pipeline.run.local import LocalRunner, _LocalPool
from pipeline.run.task import SegmentTask, Task, TaskOutcome
from tests.support.toy_nodes import (
    INFO,
    AddConfig,
    Count,
    CountConfig,
    Double,
    DoubleConfig,
    SumConfig,
    diamond,
    expected_rows,
    recalling,
    recalling_twice,
    remembering,
)


def run(graph: Graph, tmp_path: Path, window_frames: int = 4, times: int = 1) -> list[TaskOutcome]:
    tasks = [SegmentTask(Segment(f"video {i}", tmp_path, threads=1)) for i in range(times)]
    runner = LocalRunner(graph, prepared(graph), options(window_frames), threads=1)
    with runner:
        return list(runner.run(tasks, ignore))


def options(window_frames: int) -> RunOptions:
    return RunOptions(window_frames=window_frames, max_wait_s=0.001)


def run_within(
    window_bytes: int | None, tmp_path: Path, *, bytes_each: int, window_frames: int = 30
) -> TaskOutcome:
    """Run the diamond with a bound on the bytes of its pool's work."""
    graph = diamond(CountConfig(frames=60), double=DoubleConfig(bytes_each=bytes_each))
    segment = Segment("video", tmp_path, threads=1)
    slow = Double(DoubleConfig(delay_s=0.01))
    slow.prepare(read_file)
    pool = _LocalPool(slow, threads=1, max_wait_s=0.001)
    executor = SegmentExecutor(
        graph,
        prepared(graph),
        {"double": pool},
        threads=1,
        window_frames=window_frames,
        window_bytes=window_bytes,
    )
    result = executor.run(segment, lambda _: None)
    pool.batcher.close()
    return TaskOutcome(SegmentTask(segment), result=result)


@pytest.mark.parametrize("window_bytes", [None, 35, 10, 1])
def test_bytes_under_way_stay_within_their_bound_and_change_nothing(
    tmp_path: Path, window_bytes: int | None
) -> None:
    outcome = run_within(window_bytes, tmp_path, bytes_each=10)
    assert rows(outcome) == expected_rows(60)
    assert outcome.result is not None
    flow = outcome.result.flow
    assert flow.travelled_bytes == 600
    # One frame always gets through.
    assert flow.peak_bytes <= max(window_bytes or 300, 10)
    assert (flow.byte_wait_s > 0) == (window_bytes is not None)


def test_a_source_ahead_of_its_sinks_waits_and_tells(tmp_path: Path) -> None:
    outcome = run_within(None, tmp_path, bytes_each=1, window_frames=3)
    assert outcome.result is not None
    assert outcome.result.flow.frame_wait_s > 0
    assert outcome.result.flow.peak_bytes <= 3


def ignore(task: Task, progress: Progress) -> None:
    pass


def rows(outcome: TaskOutcome) -> Any:
    if outcome.error:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result.reports["sum"]["rows"]


def test_a_fork_and_join_keeps_every_frame_in_order(tmp_path: Path) -> None:
    (outcome,) = run(diamond(CountConfig(frames=100)), tmp_path)
    assert rows(outcome) == expected_rows(100)
    assert outcome.result is not None
    assert outcome.result.progress == Progress(frames=100, faces=50)


def test_a_window_smaller_than_a_batch_does_not_deadlock(tmp_path: Path) -> None:
    graph = diamond(CountConfig(frames=20), double=DoubleConfig(max_batch=64))
    (outcome,) = run(graph, tmp_path, window_frames=2)
    assert rows(outcome) == expected_rows(20)


def test_one_executor_runs_many_segments_with_fresh_state(tmp_path: Path) -> None:
    outcomes = run(diamond(CountConfig(frames=7)), tmp_path, times=3)
    assert [rows(outcome) for outcome in outcomes] == [expected_rows(7)] * 3


def test_an_empty_stream_ends_cleanly(tmp_path: Path) -> None:
    (outcome,) = run(diamond(CountConfig(frames=0)), tmp_path)
    assert rows(outcome) == []


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (diamond(CountConfig(fail_at=5)), "source broke"),
        (diamond(add=AddConfig(fail_at=5)), "map broke"),
        (diamond(double=DoubleConfig(fail_at=6)), "pool broke"),
        (diamond(total=SumConfig(fail_in_finish=True)), "disk full"),
        (diamond(add=AddConfig(pts_shift=1)), "sent pts 1 on port 'out', expected the frame's, 0"),
    ],
    ids=["source", "map", "pool", "sink", "pts"],
)
def test_an_error_in_any_node_ends_the_segment_and_reaches_the_caller(
    graph: Graph, message: str, tmp_path: Path
) -> None:
    before = threading.active_count()
    (outcome,) = run(graph, tmp_path)
    assert message in str(outcome.error)
    assert not (tmp_path / "sum" / "sum.txt").exists()
    assert threading.active_count() == before


def test_a_failed_segment_does_not_stop_the_next(tmp_path: Path) -> None:
    outcomes = run(diamond(CountConfig(fail_at=3)), tmp_path, times=2)
    told = "node 'count' (toy.count): ValueError: source broke"
    assert [str(outcome.error) for outcome in outcomes] == [told] * 2


def test_the_source_is_never_more_than_the_window_ahead(tmp_path: Path) -> None:
    from pipeline.run.executor import SegmentExecutor

    graph = diamond(CountConfig(frames=60), AddConfig(delay_s=0.01))
    ahead: list[int] = []

    class Pool:
        busy_s = 0.0

        def submit(self, inputs: Any) -> Any:
            from concurrent.futures import Future

            answer: Future[Any] = Future()
            answer.set_result({"out": inputs.get("in", object)})
            return answer

    executor = SegmentExecutor(
        graph, prepared(graph), {"double": Pool()}, threads=1, window_frames=5
    )
    source = executor._nodes["count"]
    assert isinstance(source, Count)

    def note(progress: Progress) -> None:
        ahead.append(source.sent - progress.frames)

    executor.run(Segment("x", tmp_path, threads=1), note)
    assert ahead
    assert max(ahead) <= 5


def test_an_interrupt_stops_all_threads(tmp_path: Path) -> None:
    from pipeline.run.executor import SegmentExecutor

    graph = diamond(CountConfig(frames=10_000), AddConfig(delay_s=0.005))
    runner = LocalRunner(graph, prepared(graph), options(4), threads=1)
    before = threading.active_count()

    def interrupt(task: Task, progress: Progress) -> None:
        if progress.frames > 5:
            raise KeyboardInterrupt

    started = time.monotonic()
    with runner, pytest.raises(KeyboardInterrupt):
        list(runner.run([SegmentTask(Segment("x", tmp_path, threads=1))], interrupt))
    assert time.monotonic() - started < 10
    assert threading.active_count() == before - 1  # the batcher's
    assert isinstance(runner._executor, SegmentExecutor)


def run_parts(graph: Graph, tmp_path: Path, *parts: Segment, window_frames: int = 4) -> Any:
    runner = LocalRunner(graph, prepared(graph), options(window_frames), threads=1)
    with runner:
        outcomes = list(runner.run([SegmentTask(part) for part in parts], ignore))
        return outcomes, runner.report()


def test_warmed_up_segments_together_give_what_the_whole_video_gives(tmp_path: Path) -> None:
    graph = remembering(CountConfig(frames=40))
    (whole,), _ = run_parts(graph, tmp_path, Segment("v", tmp_path, 1))
    cuts = [None, 30, 33, 90, None]
    parts = [
        Segment("v", tmp_path, 1, start, end, None if start is None else start - 9)
        for start, end in pairwise(cuts)
    ]
    outcomes, _ = run_parts(graph, tmp_path, *parts)
    assert [row for outcome in outcomes for row in rows(outcome)] == rows(whole)
    assert sum(outcome.result.progress.frames for outcome in outcomes) == 40


def test_without_warm_up_they_do_not(tmp_path: Path) -> None:
    graph = remembering(CountConfig(frames=40))
    (whole,), _ = run_parts(graph, tmp_path, Segment("v", tmp_path, 1))
    (cold,), _ = run_parts(graph, tmp_path, Segment("v", tmp_path, 1, start_pts=60))
    assert rows(cold)[0] != rows(whole)[20]
    assert rows(cold)[3:] == rows(whole)[23:]


def test_frames_that_warm_up_reach_neither_pool_nor_sinks(tmp_path: Path) -> None:
    # Far more of them than the window: each must give its credit back.
    part = Segment("v", tmp_path, 1, start_pts=90, warmup_pts=0)
    (outcome,), report = run_parts(remembering(CountConfig(frames=40)), tmp_path, part)
    assert [row[0] for row in rows(outcome)] == list(range(90, 120, 3))
    assert outcome.result.progress.frames == 10
    assert sum(pool["faces"] for pool in report["pools"]["double"]) == outcome.result.progress.faces
    assert outcome.result.progress.faces <= 10


def test_a_pool_works_on_the_warm_up_of_a_node_behind_it_and_does_not_count_it(
    tmp_path: Path,
) -> None:
    graph = recalling(CountConfig(frames=40))
    (whole,), _ = run_parts(graph, tmp_path, Segment("v", tmp_path, 1))
    part = Segment("v", tmp_path, 1, start_pts=60, warmup_pts=51)
    (outcome,), report = run_parts(graph, tmp_path, part)
    assert rows(outcome) == rows(whole)[20:]
    assert outcome.result.progress == Progress(20, 10)
    assert sum(pool["faces"] for pool in report["pools"]["double"]) > 10


def test_a_graph_without_memory_drops_frames_before_the_segment_at_the_source(
    tmp_path: Path,
) -> None:
    part = Segment("v", tmp_path, 1, start_pts=60, warmup_pts=0)
    (outcome,), _ = run_parts(diamond(CountConfig(frames=40)), tmp_path, part)
    assert rows(outcome) == expected_rows(40)[20:]


def test_each_node_is_warmed_up_on_as_many_frames_as_it_needs(tmp_path: Path) -> None:
    """One after the other: the first sees the frames of both, the second only its own."""
    graph = recalling_twice(CountConfig(frames=40))
    assert graph.warmups_s(INFO) == {"count": 18 / 25, "first": 18 / 25, "second": 9 / 25}
    (whole,), _ = run_parts(graph, tmp_path, Segment("v", tmp_path, 1))
    part = Segment("v", tmp_path, 1, start_pts=60, warmup_pts=0)
    (outcome,), _ = run_parts(graph, tmp_path, part)
    assert rows(outcome) == rows(whole)[20:]
    assert outcome.result is not None
    counts = {name: outcome.result.reports[name]["count"] for name in ("first", "second")}
    assert counts == {"first": 26, "second": 23}


def test_a_pool_that_waits_is_not_busy(tmp_path: Path) -> None:
    """Its answers are waited for in order, and its batches for more work; neither is work."""
    graph = diamond(CountConfig(frames=10), AddConfig(delay_s=0.05), DoubleConfig(delay_s=0.02))
    with LocalRunner(graph, prepared(graph), RunOptions(max_wait_s=0.1), threads=1) as runner:
        outcomes = list(runner.run([SegmentTask(Segment(n, tmp_path, 1)) for n in "ab"], ignore))
        (pool,) = runner.report()["pools"]["double"]
    results = [outcome.result for outcome in outcomes if outcome.result]
    busy_s = [result.busy_s["double"] for result in results]
    assert sum(busy_s) == pytest.approx(pool["busy_s"], abs=0.01)
    assert 0.02 <= busy_s[1] < 0.5 * results[1].wall_s
