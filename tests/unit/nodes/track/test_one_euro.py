"""One-Euro: still when slow, quick when fast, whatever the frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.track.one_euro import OneEuroFilter, OneEuroParams


def run(times_s: list[float], values: list[float], **params: float) -> list[float]:
    smooth = OneEuroFilter(OneEuroParams(**params))
    return [float(smooth(t, np.array([v]), 1.0)[0]) for t, v in zip(times_s, values, strict=True)]


def test_first_value_is_taken_as_it_is() -> None:
    assert run([3.0], [7.5]) == [7.5]


def test_noise_on_a_still_value_shrinks() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.02, 250).tolist()
    out = run([i / 25 for i in range(250)], noise)
    assert np.std(out[50:]) < 0.5 * np.std(noise[50:])


def test_a_fast_move_is_followed_within_a_tenth() -> None:
    times = [i / 25 for i in range(50)]
    out = run(times, [3.0 * t for t in times])
    assert out[-1] == pytest.approx(3.0 * times[-1], abs=0.1)


def test_smoothing_depends_on_seconds_not_on_frames() -> None:
    """Half the frame rate, and irregular frames, reach the same value at the same second."""
    fine = [i / 200 for i in range(41)]
    uneven = [0.0, 0.01, 0.015, 0.04, 0.045, 0.08, 0.1, 0.13, 0.14, 0.17, 0.2]
    ends = [run(t, [0.0] + [1.0] * (len(t) - 1), beta=0.0)[-1] for t in (fine, fine[::4], uneven)]
    exact = 1 - np.exp(-2 * np.pi * 0.2)
    assert ends == pytest.approx([exact] * 3, abs=0.04)


def test_a_clock_that_does_not_advance_starts_afresh() -> None:
    assert run([1.0, 1.0, 0.5], [0.0, 4.0, 9.0]) == [0.0, 4.0, 9.0]


def test_speed_is_measured_in_units() -> None:
    """A face twice as large, moving twice as many pixels, is smoothed just so."""
    small, large = OneEuroFilter(OneEuroParams()), OneEuroFilter(OneEuroParams())
    for index in range(20):
        value = np.array([np.sin(index / 3)])
        assert small(index / 25, value, 1.0) * 2 == pytest.approx(large(index / 25, 2 * value, 2.0))
