"""Detail is what a face loses when it is shrunk and enlarged again."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nodes.crop.detail import detail
from tests.support.faces import portrait


@pytest.mark.parametrize(("side", "shrink"), [(40, 0.5), (97, 0.3), (250, 0.05)])
def test_it_is_that_of_pillows_filters(side: int, shrink: float) -> None:
    face = portrait(side).convert("F").crop((0, 0, side, side - 7))
    rows, columns = side - 7, side
    few = max(2, round(columns * shrink)), max(2, round(rows * shrink))
    inside = np.s_[rows // 6 : rows - rows // 6, columns // 6 : columns - columns // 6]
    luma = np.asarray(face)
    lost = [
        (luma - face.resize(size, Image.Resampling.BOX).resize(face.size, Image.Resampling.BICUBIC))
        for size in ((few[0], rows), (columns, few[1]))
    ]
    wanted = min(float(each[inside].std()) for each in lost) / float(luma[inside].std())
    assert detail(luma, shrink, (0, 0, columns, rows)) == pytest.approx(wanted, rel=1e-4)


def test_motion_blur_along_one_direction_leaves_none() -> None:
    luma = np.asarray(portrait(120).convert("L"), np.float32)
    streaked = np.repeat(luma.mean(axis=1, keepdims=True), 120, axis=1)
    whole = (0, 0, 120, 120)
    assert detail(streaked, 0.3, whole) < 0.01
    assert detail(luma, 0.3, whole) > 0.05


_OF_LARGE_FACES = """
import numpy as np
from nodes.crop.detail import detail

for side in range(625, 1125, 125):
    luma = np.random.default_rng(side).random((side, side), np.float32)
    print(detail(luma, 0.02, (0, 0, side, side)).hex())
"""


def test_it_does_not_depend_on_the_number_of_threads() -> None:
    told = {
        subprocess.check_output(
            [sys.executable, "-c", _OF_LARGE_FACES],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
        )
        for threads in ("1", "2")
    }
    assert len(told) == 1
