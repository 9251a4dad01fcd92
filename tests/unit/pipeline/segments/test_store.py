"""The store of finished segments: whatever it calls finished is whole."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from upath import UPath

from pipeline.run.contract import Progress, SegmentResult
from pipeline.segments.identity import Identity
from pipeline.segments.plan import Interval
from pipeline.segments.store import SegmentStore
from pipeline.storage.locations import list_files, location_of, read, remove, write
from pipeline.storage.scratch import Scratch
from tests.support.toy_nodes import INFO

IDENTITY = Identity("input", "plan", "settings", "weights", "1.0")
INTERVAL = Interval(start_pts=400, end_pts=800, warmup_pts=None, frames=10)
RESULT = SegmentResult({"encode": INFO}, Progress(10, 3), 1.5, {"encode": 0.5}, {"encode": {}})
FILES = {"encoded.video": b"pictures" * 100, "tracks.jsonl": b"{}\n"}


@pytest.fixture(params=["file system", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SegmentStore]:
    if request.param == "file system":
        yield SegmentStore(UPath(tmp_path / "work"))
    else:
        location = location_of(f"memory://{uuid.uuid4().hex}/work")
        yield SegmentStore(location)
        remove(location)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch", 1 << 20)


def keep(store: SegmentStore, number: int, scratch: Scratch, **files: bytes) -> None:
    with store.making(number, scratch) as made:
        for name, content in (files or FILES).items():
            (made / name).write_bytes(content)
        store.keep(made, number, RESULT, interval=INTERVAL, identity=IDENTITY)


def at(store: SegmentStore, number: int, name: str) -> UPath:
    """Return where a file of a segment lies."""
    folder = store.folder / f"{number:05d}"
    return (
        folder / name if name == "manifest.json" else folder / store.finished()[number].token / name
    )


def test_what_is_kept_is_found_as_it_was(store: SegmentStore, scratch: Scratch) -> None:
    assert store.finished() == {}
    keep(store, 3, scratch)
    (number,), (manifest,) = store.finished().keys(), store.finished().values()
    assert number == 3
    assert (manifest.identity, manifest.key) == (IDENTITY, IDENTITY.key)
    assert (manifest.interval, manifest.result) == (INTERVAL, RESULT)
    assert manifest.files == {name: len(content) for name, content in FILES.items()}


def test_the_files_of_a_segment_come_to_this_machine(
    store: SegmentStore, scratch: Scratch, tmp_path: Path
) -> None:
    keep(store, 0, scratch)
    (tmp_path / "here").mkdir()
    folder = store.local(0, tmp_path / "here", key=IDENTITY.key)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_a_segment_made_again_leaves_the_first(store: SegmentStore, scratch: Scratch) -> None:
    keep(store, 0, scratch)
    before = list_files(store.folder)
    keep(store, 0, scratch, other=b"content")
    assert set(store.finished()[0].files) == set(FILES)
    assert list_files(store.folder) == before


def test_a_segment_of_another_identity_is_replaced(store: SegmentStore, scratch: Scratch) -> None:
    keep(store, 0, scratch)
    other = replace(IDENTITY, settings="other")
    with store.making(0, scratch) as made:
        (made / "other").write_bytes(b"content")
        store.keep(made, 0, RESULT, interval=INTERVAL, identity=other)
    assert store.finished()[0].files == {"other": 7}
    assert store.finished()[0].key == other.key


@pytest.mark.parametrize("name", [".index", "shots/0001.png", "shots/.index"])
def test_folders_and_hidden_files_of_a_sink_are_kept_too(
    store: SegmentStore, scratch: Scratch, tmp_path: Path, name: str
) -> None:
    with store.making(0, scratch) as made:
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(b"content")
        (made / "encoded.video").write_bytes(b"pictures")
        store.keep(made, 0, RESULT, interval=INTERVAL, identity=IDENTITY)
    assert store.finished()[0].files == {"encoded.video": 8, name: 7}
    (tmp_path / "here").mkdir()
    assert (store.local(0, tmp_path / "here", key=IDENTITY.key) / name).read_bytes() == b"content"
    remove(at(store, 0, name))
    assert store.finished() == {}


def shorten(file: UPath) -> None:
    write(file, (read(file) or b"")[:-1])


def halve(file: UPath) -> None:
    content = read(file) or b""
    write(file, content[: len(content) // 2])


def empty(file: UPath) -> None:
    write(file, b"")


TEARS: dict[str, tuple[str, Callable[[UPath], None]]] = {
    "a file is short of a byte": ("encoded.video", shorten),
    "a file is empty": ("encoded.video", empty),
    "a file is gone": ("tracks.jsonl", remove),
    "the manifest is half written": ("manifest.json", halve),
    "the manifest is empty": ("manifest.json", empty),
    "the manifest is gone": ("manifest.json", remove),
}


@pytest.mark.parametrize("what", TEARS)
def test_a_torn_segment_is_not_finished_and_the_others_are(
    store: SegmentStore, scratch: Scratch, what: str
) -> None:
    keep(store, 0, scratch)
    keep(store, 1, scratch)
    name, tear = TEARS[what]
    tear(at(store, 0, name))
    assert set(store.finished()) == {1}


def test_a_manifest_of_another_version_of_the_program_is_not_used(
    store: SegmentStore, scratch: Scratch
) -> None:
    keep(store, 0, scratch)
    file = store.folder / "00000" / "manifest.json"
    content = json.loads(read(file) or b"")
    del content["result"]["progress"]
    content["result"]["progress_so_far"] = 3
    write(file, json.dumps(content).encode())
    assert store.finished() == {}


def test_what_fails_while_it_is_made_leaves_nothing(store: SegmentStore, scratch: Scratch) -> None:
    seen: list[Path] = []

    def make() -> None:
        with store.making(0, scratch) as made:
            seen.append(made)
            (made / "encoded.video").write_bytes(b"half")
            raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        make()
    assert not seen[0].exists()
    assert list_files(store.folder) == {}


def test_two_workers_at_one_segment_do_not_meet(store: SegmentStore, scratch: Scratch) -> None:
    with store.making(0, scratch) as first, store.making(0, scratch) as second:
        (first / "encoded.video").write_bytes(b"first")
        (second / "encoded.video").write_bytes(b"the second")
        store.keep(first, 0, RESULT, interval=INTERVAL, identity=IDENTITY)
        assert store.finished()[0].files == {"encoded.video": 5}
        later = replace(RESULT, wall_s=9.0)
        assert store.keep(second, 0, later, interval=INTERVAL, identity=IDENTITY) == RESULT
    assert store.finished()[0].files == {"encoded.video": 5}
    assert read(at(store, 0, "encoded.video")) == b"first"


def test_dropping_what_is_unfinished_keeps_the_finished(
    store: SegmentStore, scratch: Scratch
) -> None:
    keep(store, 0, scratch)
    for name in ("00001", "00002.ab.part", "beside", "finished"):
        if isinstance(store.folder, Path):
            (store.folder / name).mkdir()
        write(store.folder / name / "encoded.video", b"half")
    assert store.drop_unfinished()
    assert {name.partition("/")[0] for name in list_files(store.folder)} == {"00000"}
    assert set(store.finished()) == {0}


def test_dropping_what_is_unfinished_where_nothing_is_finished_drops_all(
    store: SegmentStore, scratch: Scratch
) -> None:
    keep(store, 0, scratch)
    remove(store.folder / "00000" / "manifest.json")
    assert not store.drop_unfinished()
    assert list_files(store.folder) == {}


def test_a_record_is_read_back_until_all_is_dropped(store: SegmentStore, scratch: Scratch) -> None:
    assert store.recorded() is None
    keep(store, 0, scratch)
    store.record(b"one")
    assert store.recorded() == b"one"
    store.record(b"another")
    assert store.recorded() == b"another"
    assert set(store.finished()) == {0}
    store.drop()
    assert store.recorded() is None
