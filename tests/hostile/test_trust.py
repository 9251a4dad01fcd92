"""What was kept, read or written is checked by content before it becomes a result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from upath import UPath

from nodes.errors import MediaError
from pipeline.containers.probe import scan_packets
from pipeline.errors import RunFailedError, StorageError
from pipeline.graph.graph import Graph
from pipeline.job.earlier import finished_report
from pipeline.job.plan import plan_finished
from pipeline.job.video_plan import VideoPlan
from pipeline.job.video_run import VideoRun
from pipeline.run.contract import Progress, SegmentResult
from pipeline.segments.identity import Identity, fingerprint
from pipeline.segments.plan import Interval
from pipeline.segments.store import SegmentStore
from pipeline.storage.digests import file_sha256, stamp_of
from pipeline.storage.scratch import Scratch
from tests.support.jobs import THREE_SEGMENTS, copy_graph, plan_copy, run_tasks
from tests.support.media import make_video
from tests.support.toy_nodes import INFO

IDENTITY = Identity("input", "plan", "settings", "weights", "1.0")
INTERVAL = Interval(start_pts=400, end_pts=800, warmup_pts=None, frames=10)
RESULT = SegmentResult({"encode": INFO}, Progress(10, 3), 1.5, {"encode": 0.5}, {"encode": {}})


def flip(path: Path, at: int) -> None:
    """Change one bit of a file, and nothing else that can be seen from outside."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.fixture
def graph() -> Graph:
    return copy_graph()


@pytest.fixture
def plan(tmp_path: Path, graph: Graph) -> VideoPlan:
    source = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    return plan_copy(source, tmp_path / "out.mkv", graph)


def run_of(plan: VideoPlan, graph: Graph) -> VideoRun:
    from pipeline.config import RunOptions

    planned = plan_finished(plan, {}, overwrite=False, resume=True)
    return VideoRun(planned, graph, RunOptions(runner="local"))


def work(run: VideoRun, graph: Graph, count: int = 3) -> list[Exception | None]:
    return [run.take(outcome) for outcome in run_tasks(graph, run.start()[:count])]


@pytest.mark.parametrize("at", [70_000, -70_000])
def test_every_byte_of_an_input_counts(tmp_path: Path, at: int) -> None:
    """Neither size nor ends nor any packet's size or time changes."""
    path = make_video(tmp_path / "v.mkv", THREE_SEGMENTS)
    with path.open("ab") as file:
        file.write(bytes(400_000))
    scan = scan_packets(str(path))
    before = fingerprint(str(path), scan)
    flip(path, at)
    assert fingerprint(str(path), scan) != before
    flip(path, at)
    assert fingerprint(str(path), scan) == before


@pytest.mark.parametrize("name", ["encode/encoded.video"])
def test_a_flipped_bit_in_a_kept_segment_is_seen(
    plan: VideoPlan, graph: Graph, tmp_path: Path, name: str
) -> None:
    work(run_of(plan, graph), graph)
    store = SegmentStore(plan.video.work_dir)
    assert set(store.finished()) == {0, 1, 2}
    flip(tmp_path / ".out.mkv.aminet-part" / "00001" / name, 100)
    assert set(store.finished()) == {0, 2}


def test_a_bit_that_flips_after_the_segment_was_finished_is_not_published(
    plan: VideoPlan, graph: Graph, tmp_path: Path
) -> None:
    run = run_of(plan, graph)
    work(run, graph)
    flip(tmp_path / ".out.mkv.aminet-part" / "00001" / "encode" / "encoded.video", 100)
    with pytest.raises(RunFailedError, match="same command again"):
        run.finish()
    assert not (tmp_path / "out.mkv").exists()


def replace_file(path: Path) -> None:
    other = path.with_name("other.mkv")
    shutil.copy(path, other)
    other.replace(path)


def touch(path: Path) -> None:
    flip(path, 200)


def touch_and_set_back(path: Path) -> None:
    before = path.stat()
    touch(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    other = path.with_name("other.mkv")
    shutil.copy(path, other)
    path.unlink()
    path.symlink_to(other)


def test_a_file_that_gets_another_name_or_other_permissions_is_the_same(
    plan: VideoPlan, graph: Graph, tmp_path: Path
) -> None:
    run = run_of(plan, graph)
    path = tmp_path / "v.mkv"
    path.chmod(0o444)
    (tmp_path / "backup.mkv").hardlink_to(path)
    work(run, graph)
    run.finish()
    assert (tmp_path / "out.mkv").exists()


CHANGES = [replace_file, touch, touch_and_set_back, append, cut, remove, link]


@pytest.mark.parametrize("change", CHANGES, ids=lambda how: how.__name__)
def test_a_source_that_changes_during_the_run_gives_no_output(
    plan: VideoPlan, graph: Graph, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    run = run_of(plan, graph)
    tasks = run.start()
    for outcome in run_tasks(graph, tasks[:1]):
        assert run.take(outcome) is None
    change(tmp_path / "v.mkv")
    for outcome in run_tasks(graph, tasks[1:]):
        assert isinstance(run.take(outcome), MediaError)
    with pytest.raises(MediaError):
        run.finish()
    assert not (tmp_path / "out.mkv").exists()


def test_a_source_that_changes_after_the_last_segment_gives_no_output(
    plan: VideoPlan, graph: Graph, tmp_path: Path
) -> None:
    run = run_of(plan, graph)
    work(run, graph)
    replace_file(tmp_path / "v.mkv")
    with pytest.raises(MediaError, match="was replaced"):
        run.finish()
    assert not (tmp_path / "out.mkv").exists()


def test_an_output_that_changed_is_not_done_by_an_earlier_run(
    plan: VideoPlan, graph: Graph, tmp_path: Path
) -> None:
    run = run_of(plan, graph)
    work(run, graph)
    report = run.finish()
    target = tmp_path / "out.mkv"
    assert report.sha256 == {"out.mkv": file_sha256(target)}
    earlier = {plan.video.source: report}
    assert finished_report(plan, earlier) == report
    flip(target, 300)
    assert finished_report(plan, earlier) is None


def test_a_file_that_is_written_to_while_it_is_read_has_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    import hashlib

    digest = hashlib.file_digest

    def slow(file: object, name: str) -> object:
        found = digest(file, name)  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
        path.write_bytes(b"three")
        return found  # pyright: ignore[reportUnknownVariableType]

    monkeypatch.setattr(hashlib, "file_digest", slow)
    with pytest.raises(StorageError, match="changed while it was read"):
        file_sha256(path)


def test_a_stamp_is_of_the_file_and_not_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    before = stamp_of([tmp_path / "a"])
    (tmp_path / "a").rename(tmp_path / "b")
    assert stamp_of([tmp_path / "b"]) == before
    shutil.copy2(tmp_path / "b", tmp_path / "a")
    assert stamp_of([tmp_path / "a"]) != before


def test_a_stalled_worker_neither_removes_nor_replaces_what_another_finished(
    tmp_path: Path,
) -> None:
    """Both were given segment 0; the first was taken for lost, and comes back during the join."""
    store, scratch = SegmentStore(UPath(tmp_path / "work")), Scratch(tmp_path / "scratch", 1 << 20)
    with store.making(0, scratch) as stalled:
        (stalled / "encoded.video").write_bytes(b"of the stalled")
        with store.making(0, scratch) as second:
            (second / "encoded.video").write_bytes(b"of the second")
            store.keep(second, 0, RESULT, interval=INTERVAL, identity=IDENTITY)
        joined = store.local(0, tmp_path, key=IDENTITY.key) / "encoded.video"
        with joined.open("rb") as reading:
            store.keep(stalled, 0, RESULT, interval=INTERVAL, identity=IDENTITY)
            assert reading.read() == b"of the second"
    assert joined.read_bytes() == b"of the second"
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["00000"]


def test_a_segment_of_another_run_is_not_joined(tmp_path: Path) -> None:
    store, scratch = SegmentStore(UPath(tmp_path / "work")), Scratch(tmp_path / "scratch", 1 << 20)
    with store.making(0, scratch) as made:
        store.keep(made, 0, RESULT, interval=INTERVAL, identity=IDENTITY)
    with pytest.raises(RunFailedError, match="not the segment that was finished here"):
        store.local(0, tmp_path, key="another")
