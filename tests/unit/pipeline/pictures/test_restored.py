"""The change by the restoration is added to RGB sources, in little memory beside the picture."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from pipeline.pictures.restored import _Original


def picture(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> Any:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("channels", [(), (3,)], ids=["gray", "colour"])
def test_a_change_is_added_and_clipped(dtype: Any, has_alpha: bool, channels: Any) -> None:
    size = (300, 5)  # more than a strip
    rgba = picture(*size, 4, dtype=dtype)
    before, after = (picture(*size, *channels, dtype=dtype, seed=seed) for seed in (1, 2))
    made: Any = _Original(rgba, before, has_alpha).with_changes(after.copy())
    change = after.astype(np.int64) - before
    if not channels:
        change = change[..., None]
    wanted = np.clip(rgba[..., :3] + change, 0, np.iinfo(dtype).max)
    assert made.dtype == dtype
    assert made.shape == (*size, 4 if has_alpha else 3)
    assert (made[..., :3] == wanted).all()
    if has_alpha:
        assert (made[..., 3] == rgba[..., 3]).all()


def test_an_enlarged_picture_is_taken_with_the_alpha_enlarged() -> None:
    rgba, after = picture(4, 6, 4), picture(8, 12, 3, seed=1)
    rgba[..., 3] = 200
    made: Any = _Original(rgba, rgba[..., :3], has_alpha=True).with_changes(after.copy())
    assert (made[..., :3] == after).all()
    assert (made[..., 3] == 200).all()


def test_it_takes_little_more_than_the_picture() -> None:
    rgba, after = picture(2000, 1000, 4), picture(2000, 1000, 3)
    original = _Original(rgba, after.copy(), has_alpha=False)
    tracemalloc.start()
    try:
        made: Any = original.with_changes(after)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * made.nbytes
