"""What is missing is named with the interpreter, before anything is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline import installed
from pipeline.installed import PACKAGES, missing_message
from tests.support import ROOT


def test_all_packages_are_known_by_their_modules() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = sorted(Requirement(text).name for text in project["dependencies"])
    assert sorted(PACKAGES.values()) == named
    assert missing_message() is None


def test_all_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(installed.PACKAGES, "no_such_module", "no-such-package")
    monkeypatch.setitem(installed.PACKAGES, "nor_this", "nor-this")
    said = missing_message()
    assert said is not None
    assert said.startswith(sys.executable)
    assert "lacks no-such-package, nor-this: install" in said


def test_the_program_says_so_in_one_line(tmp_path: Path) -> None:
    """`-S` leaves out the installed packages; the program's own metadata are beside it."""
    about = tmp_path / "aminet_video-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: aminet-video\nVersion: 1.0\n")
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "pipeline", "probe", "a.mp4"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "lacks av, jinja2" in ran.stderr
