"""What another system lacks ends in no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline.sizing.cores import usable_cores


def test_without_affinity_all_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


def test_windows_is_told_in_one_line() -> None:
    program = "import sys; sys.platform = 'win32'; import pipeline"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("aminet: this program runs on Linux")
    assert "Traceback" not in done.stderr
