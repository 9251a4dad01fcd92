"""A segment of a job: run, checked, and kept only when it holds what it should."""

from __future__ import annotations

import pickle
from pathlib import Path

import av
import pytest
from upath import UPath

from nodes.decode import Decode
from nodes.encode import Encode, EncodeConfig
from nodes.encode.writer import VIDEO_FILE
from pipeline.errors import NodeFailedError, RunFailedError
from pipeline.graph.graph import Graph
from pipeline.run.contract import Progress
from pipeline.segments.store import SegmentStore
from pipeline.segments.task import KeptTask
from pipeline.storage.locations import list_files
from tests.support.jobs import (
    THREE_SEGMENTS,
    FailConfig,
    LosingEncode,
    OverrunningDecode,
    copy_graph,
    plan_copy,
    run_tasks,
)
from tests.support.media import decode_all, make_video
from tests.support.video_nodes import same_pixels


def tasks_of(folder: Path, graph: Graph, codec: str | None = None) -> list[KeptTask]:
    """Plan the three segments of a video in `folder`."""
    source = make_video(folder / "v.mkv", THREE_SEGMENTS)
    plan = plan_copy(source, folder / "out.mkv", graph)
    return [
        KeptTask(
            video=plan.video.source,
            number=number,
            interval=interval,
            threads=1,
            codec=codec,
            store=str(folder / "store"),
            identity=plan.identity,
            stamp=plan.stamp,
            pictures=plan.pictures,
            scratch_dir=folder / "scratch",
            scratch_bytes=1 << 20,
        )
        for number, interval in enumerate(plan.segments.intervals)
    ]


def store_in(folder: Path) -> SegmentStore:
    return SegmentStore(UPath(folder / "store"))


def test_each_segment_holds_its_own_frames_and_is_kept(tmp_path: Path) -> None:
    graph = copy_graph()
    tasks = tasks_of(tmp_path, graph)
    assert [task.interval.start_pts for task in tasks] == [None, 400, 800]
    outcomes = run_tasks(graph, tasks)
    store = store_in(tmp_path)
    manifests = store.finished()
    assert [manifests[task.number].result for task in tasks] == [o.result for o in outcomes]
    assert [manifests[task.number].interval for task in tasks] == [t.interval for t in tasks]
    kept = [
        decode_all(
            store.local(task.number, tmp_path, key=task.identity.key) / "encode" / VIDEO_FILE
        )
        for task in tasks
    ]
    assert [len(frames) for frames in kept] == [10, 10, 10]
    source = decode_all(tmp_path / "v.mkv")
    assert same_pixels((frame for frames in kept for frame in frames), source)


def test_a_task_travels_and_tells_how_far_it_is(tmp_path: Path) -> None:
    graph = copy_graph()
    task = tasks_of(tmp_path, graph)[1]
    travelled = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own
    assert (travelled, hash(travelled)) == (task, hash(task))
    assert travelled.source == str(tmp_path / "v.mkv")
    seen: list[Progress] = []
    (outcome,) = run_tasks(graph, [travelled], seen)
    assert outcome.error is None
    assert seen[-1] == Progress(10, 0)


def test_a_segment_whose_node_fails_leaves_nothing_and_stops_no_other(tmp_path: Path) -> None:
    graph = copy_graph(fail=FailConfig(at_pts=600))
    outcomes = run_tasks(graph, tasks_of(tmp_path, graph))
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        NodeFailedError,
        type(None),
    ]
    store = store_in(tmp_path)
    assert set(store.finished()) == {0, 2}
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"00000", "00002"}


@pytest.mark.parametrize(
    ("decoder", "encoder", "says"),
    [
        (Decode, LosingEncode, "holds 9 of 10 frames, thrown away"),
        (OverrunningDecode, Encode, "holds a frame at 800, expected from 400 to before 800"),
    ],
)
def test_a_segment_that_does_not_hold_its_frames_is_thrown_away(
    tmp_path: Path, decoder: type[Decode], encoder: type[Encode], says: str
) -> None:
    graph = copy_graph(decoder=decoder, encoder=encoder)
    (outcome,) = run_tasks(graph, tasks_of(tmp_path, graph)[1:2])
    assert isinstance(outcome.error, RunFailedError)
    assert says in str(outcome.error)
    assert outcome.result is None
    assert list_files(store_in(tmp_path).folder) == {}


@pytest.mark.parametrize(
    ("wanted", "coded"), [("auto", "ffv1"), ("mpeg4", "mpeg4")], ids=["auto", "chosen"]
)
def test_the_output_decides_the_codec_unless_the_user_does(
    tmp_path: Path, wanted: str, coded: str
) -> None:
    graph = copy_graph(EncodeConfig(codec=wanted))
    task = tasks_of(tmp_path, graph, codec="ffv1")[0]
    (outcome,) = run_tasks(graph, [task])
    assert outcome.error is None
    folder = store_in(tmp_path).local(0, tmp_path, key=task.identity.key)
    with av.open(folder / "encode" / VIDEO_FILE) as container:
        assert container.streams.video[0].codec_context.name == coded


def test_a_source_that_went_away_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    graph = copy_graph()
    task = tasks_of(tmp_path, graph)[0]
    (tmp_path / "v.mkv").unlink()
    (outcome,) = run_tasks(graph, [task])
    assert outcome.error is not None
    assert "v.mkv" in str(outcome.error)
    assert list_files(store_in(tmp_path).folder) == {}
