"""One run at a time for one output, on a file system and in an object store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from pipeline.errors import OutputError
from pipeline.storage import lease as module
from pipeline.storage.locations import list_files, location_of, read, remove, write
from pipeline.storage.lock import holding

LOCK = ".report.json.lock"


@pytest.fixture(params=["file system", "object store"])
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UPath]:
    if request.param == "file system":
        yield UPath(tmp_path / "deep" / "out" / "report.json")
    else:
        place = location_of(f"memory://{uuid.uuid4().hex}/out/report.json")
        yield place
        remove(place.parent)


def test_the_second_is_told_who_is_at_work(report: UPath) -> None:
    with holding(report):
        with (
            pytest.raises(OutputError, match=rf"already: process {os.getpid()} of .* since 20"),
            holding(report),
        ):
            pass
        assert list(list_files(report.parent)) == [".report.json.lock"]


def test_afterwards_nothing_is_left(report: UPath, tmp_path: Path) -> None:
    for _ in range(2):
        with holding(report):
            pass
    assert list_files(report.parent) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_used_stays(tmp_path: Path) -> None:
    with holding(UPath(tmp_path / "out" / "report.json")):
        (tmp_path / "out" / "v.mp4").touch()
    assert (tmp_path / "out" / "v.mp4").exists()


HOLDER = """
import sys, time
from upath import UPath
from pipeline.storage.lock import holding
with holding(UPath(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_holds_nothing_on_a_file_system(tmp_path: Path) -> None:
    report = UPath(tmp_path / "report.json")
    words = [sys.executable, "-c", HOLDER, str(report)]
    other = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match=f"process {other.pid} of"), holding(report):
        pass
    other.kill()
    other.communicate()
    with holding(report):
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_S", 0.01)
    monkeypatch.setattr(module, "RENEW_S", 0.02)
    monkeypatch.setattr(module, "STALE_S", 0.5)
    monkeypatch.setattr(module, "WATCH_S", 0.02)


def left_over(place: UPath, **changes: object) -> UPath:
    """Return a report's place with the lock of a run that ended without removing it."""
    with holding(place):
        content = json.loads(read(place.with_name(f".{place.name}.lock")) or b"")
    write(place.with_name(f".{place.name}.lock"), json.dumps({**content, **changes}).encode())
    return place


@pytest.fixture
def stored() -> UPath:
    return location_of(f"memory://{uuid.uuid4().hex}/out/report.json")


@pytest.mark.usefixtures("quick")
def test_a_lock_that_is_not_renewed_is_taken_over_whatever_its_clock_says(stored: UPath) -> None:
    left_over(stored, machine="elsewhere", renewed_s=time.monotonic() + 3600)
    with holding(stored):
        pass


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("clock_s", [-3600, -61, 0, 3600])
def test_a_lock_that_is_renewed_stays_whatever_the_other_machines_clock_says(
    stored: UPath, clock_s: float
) -> None:
    file = stored.with_name(f".{stored.name}.lock")
    left_over(stored, host="elsewhere", machine="elsewhere")
    content, ended = json.loads(read(file) or b""), threading.Event()

    def renew() -> None:
        while not ended.wait(0.1):
            now = {**content, "renewed_s": time.monotonic() + clock_s}
            write(file, json.dumps(now).encode())

    other = threading.Thread(target=renew)
    other.start()
    try:
        with pytest.raises(OutputError, match="on elsewhere"), holding(stored):
            pass
    finally:
        ended.set()
        other.join()


@pytest.mark.usefixtures("quick")
def test_a_lock_of_a_process_that_is_gone_from_this_machine_is_taken_over(stored: UPath) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with holding(left_over(stored, pid=gone.pid)):
        pass


@pytest.mark.usefixtures("quick")
def test_a_machine_of_the_same_name_has_other_processes(stored: UPath) -> None:
    """Its process of that number may be gone here: the lock is watched all the same."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    content = read(left_over(stored, pid=gone.pid, machine="a copy").with_name(LOCK)) or b""
    before_s = time.monotonic()
    assert module.is_stale(stored.with_name(LOCK), content)
    assert time.monotonic() - before_s >= module.STALE_S


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step_s", [-7200.0, 61.0, 7200.0])
def test_a_clock_that_is_set_makes_no_lock_stale(
    stored: UPath, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = time.time
    with holding(stored):
        monkeypatch.setattr(time, "time", lambda: true() + step_s)
        with pytest.raises(OutputError, match="another run writes there"), holding(stored):
            pass


@pytest.mark.usefixtures("quick")
def test_a_lock_is_renewed_while_it_is_held(stored: UPath) -> None:
    file = stored.with_name(f".{stored.name}.lock")
    with holding(stored):
        before = json.loads(read(file) or b"")["renewed_s"]
        deadline = time.monotonic() + 10
        while json.loads(read(file) or b"")["renewed_s"] == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.usefixtures("quick")
def test_of_two_who_take_over_at_once_one_gives_way(
    stored: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stored.with_name(f".{stored.name}.lock")
    left_over(stored, renewed_s=0.0)
    other = {**json.loads(read(file) or b""), "token": "another's", "renewed_s": time.monotonic()}
    monkeypatch.setattr(module.time, "sleep", lambda _: write(file, json.dumps(other).encode()))
    with pytest.raises(OutputError, match="another run writes there"), holding(stored):
        pass


@pytest.mark.usefixtures("quick")
def test_who_stood_still_too_long_writes_and_removes_nothing_more(stored: UPath) -> None:
    file = stored.with_name(f".{stored.name}.lock")
    with holding(stored) as lock:
        lock.check()
        other = json.dumps({**json.loads(read(file) or b""), "token": "another's", "pid": 4321})
        write(file, other.encode())
        with pytest.raises(
            OutputError, match=r"another took its place: process 4321 .*nothing more"
        ):
            lock.check()
        time.sleep(0.1)  # five renewals
        assert read(file) == other.encode()
    assert read(file) == other.encode()


@pytest.mark.usefixtures("quick")
def test_a_lock_file_that_somebody_removed_is_made_anew(stored: UPath) -> None:
    file = stored.with_name(f".{stored.name}.lock")
    with holding(stored) as lock:
        ours = json.loads(read(file) or b"")["token"]
        remove(file)
        lock.check()
        assert json.loads(read(file) or b"")["token"] == ours
    assert read(file) is None
