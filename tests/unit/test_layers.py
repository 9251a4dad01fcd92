"""Which part may import which, and how large a file may be.

The arrow of imports is pipeline -> nodes -> aminet, and only pipeline/ray_*.py knows Ray. The
product imports neither its tests nor the developers' tools.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import ROOT

ALLOWED = {
    "aminet": {"aminet"},
    "nodes": {"aminet", "nodes"},
    "pipeline": {"aminet", "nodes", "pipeline"},
    "tools": {"aminet", "nodes", "pipeline", "tools"},
    "tests": {"aminet", "nodes", "pipeline", "tools", "tests"},
}
FILES = [file for part in ALLOWED for file in sorted((ROOT / part).rglob("*.py"))]
PRODUCT = [file for file in FILES if file.relative_to(ROOT).parts[0] not in ("tests", "tools")]
MOST_LINES = 400


def imported(file: Path) -> set[str]:
    """Return the top-level names of everything a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_only_downwards(file: Path) -> None:
    part = file.relative_to(ROOT).parts[0]
    assert imported(file) & set(ALLOWED) <= ALLOWED[part]


@pytest.mark.parametrize("file", PRODUCT, ids=lambda file: str(file.relative_to(ROOT)))
def test_only_ray_files_of_the_pipeline_know_ray(file: Path) -> None:
    if "ray" in imported(file):
        assert file.parent == ROOT / "pipeline"
        assert file.name.startswith("ray_")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_stay_small_enough_to_read(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
