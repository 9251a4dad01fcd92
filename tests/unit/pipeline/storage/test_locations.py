"""The verbs on places, the same on a file system and in an object store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from pipeline.errors import StorageError
from pipeline.storage.locations import (
    create,
    fetch,
    is_folder,
    is_remote,
    list_files,
    location_of,
    publish,
    read,
    remove,
    size_of,
    stored_at,
    version_of,
    write,
)


@pytest.fixture(params=["file system", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UPath]:
    if request.param == "file system":
        yield UPath(tmp_path / "place")
    else:
        place = location_of(f"memory://{uuid.uuid4().hex}/place")
        yield place
        remove(place)


def filled(folder: UPath) -> UPath:
    for name in ("b.txt", "a.txt", "deep/er/c.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, name.encode())
    return folder


def test_what_is_written_is_read(folder: UPath) -> None:
    place = filled(folder) / "a.txt"
    write(place, b"other")
    assert read(place) == b"other"
    assert size_of(place) == 5
    assert read(folder / "none") is None
    assert size_of(folder / "none") is None
    assert size_of(folder / "deep") is None


def test_a_folder_is_listed_with_all_below_it(folder: UPath) -> None:
    assert list_files(folder) == {}
    assert not is_folder(folder)
    assert list_files(filled(folder)) == {"a.txt": 5, "b.txt": 5, "deep/er/c.txt": 13}
    assert list(list_files(folder)) == ["a.txt", "b.txt", "deep/er/c.txt"]
    assert is_folder(folder)
    assert is_folder(folder / "deep")
    assert not is_folder(folder / "a.txt")


def test_a_local_file_is_published_and_gone(folder: UPath, tmp_path: Path) -> None:
    local = tmp_path / "made"
    local.write_bytes(b"finished")
    publish(local, filled(folder) / "a.txt")
    assert read(folder / "a.txt") == b"finished"
    assert not local.exists()


def test_files_and_folders_are_removed_and_what_is_not_there_is_no_error(folder: UPath) -> None:
    remove(filled(folder) / "a.txt")
    assert list(list_files(folder)) == ["b.txt", "deep/er/c.txt"]
    remove(folder / "a.txt")
    remove(folder)
    assert list_files(folder) == {}


def test_an_object_is_fetched_and_its_version_tells_when_it_changes(tmp_path: Path) -> None:
    place = location_of(f"memory://{uuid.uuid4().hex}/x")
    write(place, b"one")
    fetch(place, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"one"
    before = version_of(place)
    assert version_of(place) == before
    write(place, b"other")
    assert version_of(place) != before


def test_only_one_creates_an_object() -> None:
    place = location_of(f"memory://{uuid.uuid4().hex}/lock")
    assert create(place, b"one")
    assert not create(place, b"two")
    assert read(place) == b"one"


@pytest.mark.parametrize("name", ["a.mp4", "a::b.mp4", "a#b?c.mp4", "x/memory:y.mp4"])
def test_a_path_stays_a_path_whatever_is_in_it(name: str) -> None:
    place = location_of(name)
    assert isinstance(place, Path)
    assert place == Path(name)
    assert not is_remote(place)
    assert location_of(f"file:///srv/{name}") == Path(f"/srv/{name}")
    assert stored_at(name) is None


@pytest.mark.parametrize("url", ["http://host/a.mp4", "rtsp://host/a", "udp://host:1", "-"])
def test_what_libav_reads_by_itself_is_not_stored(url: str) -> None:
    assert stored_at(url) is None


def test_a_bucket_is_remote_and_keeps_its_name() -> None:
    place = stored_at("s3://bucket/folder/")
    assert place is not None
    assert is_remote(place)
    assert (str(place), place.name) == ("s3://bucket/folder", "folder")


def test_an_unknown_scheme_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(StorageError, match=r"s4://b/x: expected a path, or .* s3://"):
        location_of("s4://b/x")
