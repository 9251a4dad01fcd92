"""The README's tour of the code: everything that it names is there, and it is one screen."""

from __future__ import annotations

import re

from tests.support import ROOT

TOUR = (
    (ROOT / "README.md")
    .read_text(encoding="utf-8")
    .partition("## Read the code in this order\n")[2]
    .partition("\n## ")[0]
)


def test_every_file_and_folder_it_names_is_there() -> None:
    folder = ROOT
    names = re.findall(r"`([\w/]+(?:/|\.\w+))`", TOUR)
    assert len(names) > 20
    for name in names:
        # A bare file's name means one in the folder that was named last.
        path = ROOT / name if "/" in name or (ROOT / name).exists() else folder / name
        assert path.exists(), name
        folder = path if path.is_dir() else folder


def test_it_names_every_folder() -> None:
    folders = [
        child.relative_to(ROOT)
        for part in ("aminet", "nodes", "pipeline")
        for child in (ROOT / part).iterdir()
        if (child / "__init__.py").exists() and list(child.glob("*.py")) != [child / "__init__.py"]
    ]
    assert len(folders) > 20
    for folder in folders:
        assert f"`{folder}/`" in TOUR, folder


def test_it_is_one_screen() -> None:
    assert len(TOUR.splitlines()) <= 40
