"""Sources as libav opens them, wherever they lie."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from nodes.errors import MediaError
from pipeline.errors import StorageError
from pipeline.storage.locations import location_of, remove, write
from pipeline.storage.scratch import Scratch
from pipeline.storage.staging import staged
from tests.support.media import decode_all, make_video


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch", 1 << 20)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[UPath]:
    """A video in an object store."""
    place = location_of(f"memory://{uuid.uuid4().hex}/v.mkv")
    write(place, make_video(tmp_path / "v.mkv").read_bytes())
    yield place
    remove(place)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_is_opened_where_it_lies(tmp_path: Path, scratch: Scratch, scheme: str) -> None:
    path = make_video(tmp_path / "v.mkv")
    with staged(f"{scheme}{path}", scratch) as source:
        assert source == str(path)
    assert not scratch.folder.exists()


def test_what_libav_reads_by_itself_is_left_to_it(scratch: Scratch) -> None:
    with staged("rtsp://camera/1", scratch) as source:
        assert source == "rtsp://camera/1"


def test_a_stored_video_is_copied_once_and_keeps_its_suffix(
    stored: UPath, scratch: Scratch
) -> None:
    with staged(str(stored), scratch) as source:
        assert Path(source).suffix == ".mkv"
        assert Path(source).is_relative_to(scratch.folder)
        assert len(decode_all(source)) == 12
        made = Path(source).stat().st_mtime_ns
    with staged(str(stored), scratch) as again:
        assert (again, Path(again).stat().st_mtime_ns) == (source, made)


def test_errors_speak_of_the_source_and_not_of_its_copy(stored: UPath, scratch: Scratch) -> None:
    def read() -> None:
        with staged(str(stored), scratch) as source:
            raise MediaError(f"{source}: holds no video")

    with pytest.raises(MediaError) as caught:
        read()
    assert str(caught.value) == f"{stored}: holds no video"


def test_a_stored_video_that_is_not_there_is_told(scratch: Scratch) -> None:
    missing = f"memory://{uuid.uuid4().hex}/none.mp4"
    with pytest.raises(StorageError, match="no such file"), staged(missing, scratch):
        pass
