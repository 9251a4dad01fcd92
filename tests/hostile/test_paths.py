"""Names and links that lead elsewhere: nothing is written, truncated or removed there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from nodes.sheet import Sheet
from pipeline.errors import OutputError, StorageError
from pipeline.job.files import VideoFiles, check_outputs, plan_files
from pipeline.job.output_paths import check_location, check_names, make_folder
from pipeline.segments.store import SegmentStore
from pipeline.storage.locations import absolute, location_of, remove, stored_at, write
from pipeline.storage.lock import holding
from pipeline.storage.private import private_folder
from pipeline.storage.scratch import scratch_of

VICTIM = b"not to be touched"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_bytes(VICTIM)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path


def asked_for(name: str, root: UPath) -> VideoFiles:
    return VideoFiles("s3://bucket/in/" + name, root / "x", named=False, key=name)


@pytest.mark.parametrize(
    "name",
    ["/etc/a.mp4", "//a.mp4", "a//b.mp4", "../a.mp4", "a/../../b.mp4", "a/./b.mp4", "a/", ".."],
)
def test_a_name_that_leads_out_of_the_output_folder_is_refused(name: str, out: Path) -> None:
    with pytest.raises(OutputError, match="below the output folder"):
        check_location(asked_for(name, UPath(out)))


@pytest.mark.parametrize("name", ["a.mp4", "a/b.mp4", "..a/b..mp4", "a b/ü.mp4", "\\a.mp4"])
def test_a_plain_name_is_not(name: str, out: Path) -> None:
    check_location(asked_for(name, UPath(out)))


@pytest.mark.parametrize("name", ["a\0.mp4", "n" * 300 + ".mp4", "a\udcff.mp4", "ü" * 130 + ".mp4"])
@pytest.mark.parametrize("named", [False, True])
def test_an_object_whose_name_no_file_can_have_is_refused(
    name: str, named: bool, out: Path
) -> None:
    given = VideoFiles("s3://bucket/" + name, UPath(out) / "x.mp4", named=named)
    with pytest.raises(OutputError, match="a name that a file can have"):
        check_location(given)


@pytest.mark.parametrize("name", ["a\x1b[2J.mp4", "\1.mp4", "a/\x0c.mp4", "\ufffe.mp4"])
def test_an_object_whose_name_no_list_can_hold_is_refused(name: str, out: Path) -> None:
    store = location_of("memory://bucket/out")
    given = VideoFiles(f"/in/{name}", store / "x", named=False, key=name)
    with pytest.raises(OutputError, match="without control characters"):
        check_location(given)
    check_location(VideoFiles(f"/in/{name}", UPath(out) / "x", named=False, key=name))


@pytest.mark.parametrize(
    "url", ["s3://", "memory://", "s3:///", "gs://", "memory:////", "S3://", "s3:///a.mp4"]
)
def test_a_url_without_a_bucket_names_no_folder_here(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="names no bucket"):
        location_of(url)
    with pytest.raises(StorageError, match="names no bucket"):
        plan_files([url], UPath(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_scheme_of_a_url_may_be_in_capitals() -> None:
    assert location_of("Memory://Bucket/a.MP4") == location_of("memory://Bucket/a.MP4")
    assert absolute("S3://Bucket/a.mp4") == "s3://Bucket/a.mp4"
    assert stored_at("S3://Bucket/a.mp4") == stored_at("s3://Bucket/a.mp4") is not None
    assert location_of("FILE:///in/a.mp4") == UPath(Path("/in/a.mp4"))
    with pytest.raises(StorageError, match="begins with one of"):
        location_of("HTTPS://example.com/a.mp4")


def test_an_absolute_key_of_a_store_is_planned_below_the_output_folder(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = UPath("memory://bucket-of-absolute-keys")

    def listed(fs: Any, path: str, **_: object) -> dict[str, Any]:
        return {key: fs.info(key) for key in fs.store if key.startswith(path + "/")}

    # Object stores list keys; the memory of fsspec 2024 walks folders, and misses empty names.
    monkeypatch.setattr(type(store.fs), "find", listed)
    store.fs.pipe_file(store.path + "/in//etc/a.mp4", b"x")
    store.fs.pipe_file(store.path + "/in/b.mp4", b"x")
    files = plan_files([str(store / "in")], UPath(out))
    assert all(str(video.target).startswith(f"{out}/") for video in files.videos)
    refused = [video for video in files.videos if video.name_below.startswith("/")]
    with pytest.raises(OutputError):
        check_location(refused[0])
    assert refused[0].source.endswith("/in//etc/a.mp4")


def test_a_folder_behind_a_link_is_not_written_to(out: Path, victim: Path) -> None:
    (out / "sub").symlink_to(victim.parent)
    for name in ("sub/a.mp4", "sub/deep/a.mp4"):
        video = VideoFiles("a.mp4", UPath(out) / name, named=False)
        with pytest.raises(OutputError, match="out of the output folder"):
            make_folder(video, UPath(out))
    assert list(victim.parent.iterdir()) == [victim]


def test_an_output_folder_may_be_a_link_itself(out: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(out)
    make_folder(
        VideoFiles("a.mp4", UPath(tmp_path / "link" / "sub" / "a.mp4"), False),
        UPath(tmp_path / "link"),
    )
    assert (out / "sub").is_dir()


def test_a_planted_lock_is_neither_followed_nor_emptied(out: Path, victim: Path) -> None:
    report = UPath(out / "report.json")
    lock = out / ".report.json.lock"
    lock.symlink_to(victim)
    with pytest.raises(OutputError, match="is a link"), holding(report):
        pass
    lock.unlink()
    os.link(victim, lock)
    with pytest.raises(OutputError, match="one name only"), holding(report):
        pass
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(OutputError, match="not a lock file"), holding(report):
        pass
    assert victim.read_bytes() == VICTIM


def test_a_file_is_not_written_through_a_link(out: Path, victim: Path) -> None:
    (out / "report.json").symlink_to(victim)
    (out / ".report.json.part").symlink_to(victim)
    write(UPath(out / "report.json"), b"new")
    assert victim.read_bytes() == VICTIM
    assert (out / "report.json").read_bytes() == b"new"
    assert {file.name for file in out.iterdir()} == {".report.json.part", "report.json"}


def test_a_planted_work_folder_is_neither_believed_nor_used(out: Path, victim: Path) -> None:
    folder = out / ".a.mp4.aminet-part"
    folder.symlink_to(victim.parent)
    store = SegmentStore(UPath(folder))
    assert store.finished() == {}
    assert store.recorded() is None
    with (
        pytest.raises(StorageError, match="is a link"),
        store.making(0, scratch_of(out, 1000)),
    ):
        pass
    store.drop()
    assert not folder.is_symlink()
    assert victim.read_bytes() == VICTIM


def test_removing_a_link_to_a_folder_removes_the_link(out: Path, victim: Path) -> None:
    (out / "link").symlink_to(victim.parent)
    remove(UPath(out / "link"))
    assert victim.exists()
    assert not (out / "link").is_symlink()


def test_side_files_behind_a_link_stay(out: Path, victim: Path) -> None:
    shots = victim.parent / "0001.png"
    shots.write_bytes(VICTIM)
    (out / "a.faces").symlink_to(victim.parent)
    video = VideoFiles("a.mp4", UPath(out / "a.mp4"), named=True)
    video.drop_sides(Sheet.endings)
    assert shots.read_bytes() == VICTIM
    assert not (out / "a.faces").is_symlink()


def test_the_scratch_folder_is_private(tmp_path: Path, victim: Path) -> None:
    scratch = scratch_of(tmp_path / "scratch", 1000)
    with scratch.workspace(0, "a test") as workspace:
        assert workspace.is_dir()
    assert stat.S_IMODE(scratch.folder.stat().st_mode) == 0o700
    planted = scratch_of(tmp_path / "planted", 1000)
    planted.folder.parent.mkdir()
    planted.folder.symlink_to(victim.parent)
    with pytest.raises(StorageError, match="is a link"), planted.workspace(0, "a test"):
        pass
    assert list(victim.parent.iterdir()) == [victim]


def test_a_folder_that_others_may_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    private_folder(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's folder")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(StorageError, match="another user's"):
        private_folder(tmp_path / "theirs")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("a.faces.png", "a.mp4"),
        ("a.tracks.jsonl", "a.mp4"),
        ("a.faces/0001.png", "a.mp4"),
        ("a.mp4", "a.mp4"),
    ],
)
def test_an_input_that_looks_like_a_side_file_is_not_overwritten(
    out: Path, source: str, target: str
) -> None:
    (out / source).parent.mkdir(exist_ok=True)
    (out / source).write_bytes(VICTIM)
    (out / "link").symlink_to(out / source)
    endings = (*Sheet.endings, ".tracks.jsonl")
    for name in (source, "link", f"../out/{source}"):
        video = VideoFiles(str(out / name), UPath(out / target), named=True)
        with pytest.raises(OutputError, match="both input and output"):
            check_outputs([video], endings=endings, overwrite=True)


def test_an_input_is_not_another_inputs_output(out: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (out / name).write_bytes(VICTIM)
    videos = [
        VideoFiles(str(out / "a.mp4"), UPath(out / "b.mp4"), named=False),
        VideoFiles(str(out / "b.mp4"), UPath(out / "c.mp4"), named=False),
    ]
    with pytest.raises(OutputError, match=r"b\.mp4 is both"):
        check_outputs(videos, endings=(), overwrite=True)


@pytest.mark.parametrize("ending", ["", ".tracks.jsonl"])
def test_a_name_too_long_for_what_belongs_to_it_is_refused(out: Path, ending: str) -> None:
    name = "ü" * 120 + ".mp4"
    video = VideoFiles("a.mp4", UPath(out / name), named=False)
    with pytest.raises(OutputError, match="too long"):
        check_names(video, [ending + "x" * 16])
