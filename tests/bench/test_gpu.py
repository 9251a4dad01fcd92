"""An enhancer on a GPU: its faces a second, its share of the GPU's matrix rate, and through Ray.

.venv/bin/python -m pytest -m bench tests/bench/test_gpu.py --timeout 1800
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.bench.gpu.__main__ import measure
from tests.bench.gpu.plan import Plan

pytestmark = [
    pytest.mark.bench,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

RESULTS = Path(__file__).parent / "results"


def test_one_enhancer() -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "gpu_enhancer.json"
    measure(Plan(torch.device("cuda"), path, compiled=True, tiny=False, network_s=150))
    found = json.loads(path.read_text(encoding="utf-8"))
    assert not found.get("failed")
