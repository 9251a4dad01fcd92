"""Runs that may write the same outputs lock each other, though their reports differ."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from pipeline.errors import OutputError
from pipeline.storage.locations import location_of, names_in, remove
from pipeline.storage.lock import holding


@pytest.fixture(params=["file system", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UPath]:
    if request.param == "file system":
        yield UPath(tmp_path)
        return
    place = location_of(f"memory://{uuid.uuid4().hex}/out")
    yield place
    remove(place)


@pytest.mark.parametrize("folders", [["a"], ["", "a"], ["", "b", "a"]])
@pytest.mark.parametrize("first", ["single", "folder"])
def test_a_run_of_a_file_and_one_of_its_folder_lock_each_other(
    root: UPath, folders: list[str], first: str
) -> None:
    written = [root / name if name else root for name in folders]
    single = (root / "a" / "v.report.json", None)
    whole = (root / "report.json", written)
    one, other = (single, whole) if first == "single" else (whole, single)
    with (
        holding(*one),
        pytest.raises(OutputError, match="another run writes there already: process"),
        holding(*other),
    ):
        pass
    with holding(*other):
        pass
    assert not [name for name in names_in(root) if name.startswith(".")]


def test_runs_over_folders_that_share_one_lock_each_other(root: UPath) -> None:
    upper, lower = (root / "report.json", [root, root / "a"]), (root / "a" / "report.json", None)
    inside = (lower[0], [root / "a"])
    with holding(*upper), pytest.raises(OutputError, match="already"), holding(*inside):
        pass
    with holding(*inside), pytest.raises(OutputError, match="already"), holding(*upper):
        pass


def test_runs_that_share_nothing_run_side_by_side(root: UPath) -> None:
    with (
        holding(root / "v.report.json"),
        holding(root / "w.report.json"),
        holding(root / "a" / "report.json", [root / "a", root / "a" / "deep"]),
        holding(root / "b" / "report.json", [root / "b"]),
        holding(root / "c" / "v.report.json"),
    ):
        pass


def test_what_lies_there_like_a_lock_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".w.report.json.lock").write_text(json.dumps({"single": False}))
    (tmp_path / ".x.report.json.lock").symlink_to(tmp_path / "nothing")
    (tmp_path / ".y.report.json.lock").mkdir()
    with holding(UPath(tmp_path / "report.json"), [UPath(tmp_path)]):
        pass
    assert not (tmp_path / "nothing").exists()
