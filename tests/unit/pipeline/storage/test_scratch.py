"""The scratch folder: one copy for all, bounded space, nothing lost to a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import uuid
from pathlib import Path

import pytest
from upath import UPath

from pipeline.errors import StorageError
from pipeline.storage import scratch as module
from pipeline.storage.locations import location_of, write
from pipeline.storage.scratch import Scratch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)


def stored(size: int) -> UPath:
    place = location_of(f"memory://{uuid.uuid4().hex}/v.mp4")
    write(place, b"x" * size)
    return place


def copies(scratch: Scratch) -> list[Path]:
    return list(scratch.folder.glob("*/v.mp4"))


def test_a_copy_is_made_once_and_kept(tmp_path: Path) -> None:
    scratch, source = Scratch(tmp_path, 1000), stored(100)
    with scratch.copy_of(source) as one, scratch.copy_of(source) as other:
        assert one == other
        assert one.name == "v.mp4"
        assert one.read_bytes() == b"x" * 100
        inode = one.stat().st_ino
    with scratch.copy_of(source) as again:
        assert again.stat().st_ino == inode


def test_what_changed_in_the_store_is_copied_anew(tmp_path: Path) -> None:
    scratch, source = Scratch(tmp_path, 1000), stored(100)
    with scratch.copy_of(source):
        pass
    write(source, b"y" * 50)
    with scratch.copy_of(source) as copy:
        assert copy.read_bytes() == b"y" * 50


def test_the_oldest_copies_go_when_their_space_is_needed(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 250)
    sources = [stored(100) for _ in range(3)]
    for source in sources:
        with scratch.copy_of(source):
            pass
        time.sleep(0.02)
    assert len(copies(scratch)) == 2
    with scratch.copy_of(sources[2]) as copy:
        assert copy.stat().st_mtime > 0
    assert sum(file.stat().st_size for file in copies(scratch)) <= 250


def test_who_finds_no_space_waits_until_another_lets_go(tmp_path: Path) -> None:
    first, second = Scratch(tmp_path, 150), Scratch(tmp_path, 150)
    one, two = stored(100), stored(100)
    got = threading.Event()

    def take() -> None:
        with second.copy_of(two):
            got.set()

    with first.copy_of(one) as copy:
        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.2)
        assert copy.exists()
    assert got.wait(5)
    thread.join()


def test_what_can_never_fit_is_an_error_at_once(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 150)
    with (
        pytest.raises(StorageError, match=r"needs 151 bytes .* may hold 150; raise run.scratch_b"),
        scratch.copy_of(stored(151)),
    ):
        pass
    with (
        scratch.copy_of(stored(100)),
        pytest.raises(StorageError, match="needs 60 bytes of scratch space beside 100 in use"),
        scratch.workspace(60, "out.mp4"),
    ):
        pass


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    with (
        Scratch(tmp_path, 150).copy_of(stored(100)),
        pytest.raises(StorageError, match="others held it"),
        Scratch(tmp_path, 150).copy_of(stored(100)),
    ):
        pass


def test_a_workspace_is_empty_counts_while_it_lasts_and_is_gone_afterwards(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 150)
    with scratch.workspace(100, "out.mp4") as workspace:
        assert [path.name for path in workspace.iterdir() if not path.name.startswith(".")] == []
        (workspace / "made").write_bytes(b"x" * 50)
        with pytest.raises(StorageError), scratch.workspace(60, "other.mp4"):
            pass
    assert not workspace.exists()


def hold(folder: Path, ready: Path) -> None:
    """In another process: take a room, say so, and wait to be killed."""
    with Scratch(folder, 150).workspace(100, "out.mp4") as workspace:
        (workspace / "made").write_bytes(b"x")
        ready.touch()
        time.sleep(60)


def test_what_a_killed_process_held_is_free_again(tmp_path: Path) -> None:
    folder, ready = tmp_path / "scratch", tmp_path / "ready"
    process = multiprocessing.get_context("fork").Process(target=hold, args=(folder, ready))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with Scratch(folder, 150).copy_of(stored(100)) as copy:
        assert copy.exists()
    assert not list(folder.glob("workspace-*"))


def test_a_copy_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    scratch, source = Scratch(tmp_path, 150), stored(100)
    with scratch.copy_of(source) as copy:
        pass
    copy.rename(copy.with_name(".part"))
    with scratch.copy_of(source) as copy:
        assert copy.read_bytes() == b"x" * 100
