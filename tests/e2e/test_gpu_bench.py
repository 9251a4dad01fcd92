"""The bench of GPUs, which are seldom at hand, runs on a CPU in all its parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_part_can_be_rehearsed(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = [sys.executable, "-m", "tests.bench.gpu", str(out), "--tiny", "--seconds", "0"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text(encoding="utf-8"))
    assert "failed" not in found
    parts = ("with CUDA graphs over", "through ray", "network", "psnr", "decoding")
    assert [part for part in parts if not any(name.startswith(part) for name in found)] == []
