"""`Enhancer.stream`: one stream at a time, of one clock, at a rate that is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

import pipeline
from nodes.errors import MediaError
from tests.unit.pipeline.frames.test_enhancer import COPY, noise


def slow(asked: threading.Event, given: threading.Event) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield a picture once `given` is set; `asked` tells that it is awaited."""
    asked.set()
    given.wait(10)
    yield noise(1)


def test_who_comes_while_the_first_picture_is_awaited_is_refused() -> None:
    asked, given = threading.Event(), threading.Event()
    with pipeline.Enhancer(graph=COPY) as enhancer:
        made: list[npt.NDArray[np.uint8]] = []
        first = threading.Thread(target=lambda: made.extend(enhancer.stream(slow(asked, given))))
        first.start()
        assert asked.wait(10)
        with pytest.raises(RuntimeError, match="busy"):
            enhancer(noise(2))
        with pytest.raises(RuntimeError, match="busy"):
            next(enhancer.stream([noise(2)]))
        given.set()
        first.join(10)
        assert np.array_equal(made, [noise(1)])
        assert np.array_equal(enhancer(noise(2)), noise(2))


def test_closing_while_the_first_picture_is_awaited_ends_the_stream() -> None:
    asked, given = threading.Event(), threading.Event()
    enhancer = pipeline.Enhancer(graph=COPY)
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(lambda: list(enhancer.stream(slow(asked, given))))
        assert asked.wait(10)
        enhancer.close()
        given.set()
        with pytest.raises(RuntimeError, match="closed"):
            made.result(10)


def test_an_iterator_that_fails_leaves_the_enhancer_free() -> None:
    def failing() -> Iterator[npt.NDArray[np.uint8]]:
        yield from ()
        raise LookupError("no camera")

    with pipeline.Enhancer(graph=COPY) as enhancer:
        with pytest.raises(LookupError, match="no camera"):
            list(enhancer.stream(failing()))
        assert list(enhancer.stream([])) == []
        assert np.array_equal(enhancer(noise(3)), noise(3))


def test_a_rate_that_is_none_is_refused() -> None:
    with pipeline.Enhancer(graph=COPY) as enhancer:
        for rate in (0, -25, 1e-6, 1001, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=r"rate is .*, expected 0.001 to 1000"):
                list(enhancer.stream([noise(1)], rate=rate))


def _timed(pts: int, time_base: Fraction | None) -> av.VideoFrame:
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.pts = pts
    if time_base is not None:
        frame.time_base = time_base
    return frame


def test_another_clock_in_mid_stream_is_refused() -> None:
    later = Fraction(1, 1000)
    frames: list[Any] = [_timed(0, Fraction(1, 25)), _timed(1, Fraction(1, 25)), _timed(90, later)]
    with pipeline.Enhancer(graph=COPY) as enhancer:
        with pytest.raises(MediaError, match=f"picture 2 has time base {later}, expected.* 1/25"):
            list(enhancer.stream(frames))
        same = [_timed(0, None), _timed(1, None)]
        assert [frame.pts for frame in enhancer.stream(same, rate=30)] == [0, 1]
