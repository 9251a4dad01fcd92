"""Times that always increase, the source's own wherever that is possible."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nodes.decode.timestamps import PresentationClock
from nodes.types import Restart

Times = list[int | None]


def run(times: Times, step: Fraction = Fraction(40)) -> tuple[list[int], PresentationClock]:
    clock = PresentationClock(step)
    return [clock.next(number, time) for number, time in enumerate(times)], clock


def test_good_times_are_kept() -> None:
    times: Times = [-5, 0, 1, 1000, 1001]
    got, clock = run(times)
    assert got == times
    assert (clock.missing, clock.disordered, clock.frames) == (0, 0, [])


def test_a_missing_time_is_one_frame_after_the_one_before() -> None:
    got, clock = run([0, 40, None, 120, None, None, 240])
    assert got == [0, 40, 80, 120, 160, 200, 240]
    assert (clock.missing, clock.frames) == (3, [2, 4, 5])


def test_without_any_time_a_fractional_rate_does_not_drift() -> None:
    got, _ = run([None] * 3001, Fraction(1001, 30))
    assert got[-1] == 100_100


def test_a_repeated_time_leaves_the_good_ones_that_follow() -> None:
    got, clock = run([0, 40, 40, 80, 120])
    assert got == [0, 40, 60, 80, 120]
    assert clock.disordered == 1


def test_a_clock_that_stands_still_runs_on_at_the_average_rate() -> None:
    got, _ = run([0] * 10)
    assert got == [0, 20, 40, 60, 80, 120, 160, 200, 240, 280]


def test_a_clock_that_starts_again_runs_on() -> None:
    got, _ = run([0, 40, 80, 0, 40, 80, 120, 160, 200])
    assert got[:3] == [0, 40, 80]
    assert got[-1] >= 200


@given(
    st.lists(st.none() | st.integers(-(10**9), 10**9)),
    st.fractions(min_value=Fraction(1, 1000), max_value=10**6),
)
def test_times_always_increase(times: Times, step: Fraction) -> None:
    got, clock = run(times, step)
    assert all(before < after for before, after in pairwise(got))
    changed = sum(a != b for a, b in zip(got, times, strict=True))
    assert clock.missing + clock.disordered >= changed


def restarting(times: Times) -> tuple[list[int], PresentationClock]:
    clock = PresentationClock(Fraction(40), Fraction(1000))
    return [clock.next(number, time) for number, time in enumerate(times)], clock


def test_a_clock_that_goes_back_far_starts_again_and_keeps_its_distances() -> None:
    first, second = [0, 40, 80, 2000], [10, 60, 90]
    got, clock = restarting([*first, *second])
    assert got == [*first, 2040, 2090, 2120]
    assert clock.restarts == [Restart(2000, 10, 2030)]
    assert (clock.disordered, clock.missing) == (0, 0)


def test_it_may_start_again_more_than_once() -> None:
    part: Times = [0, 40, 2000]
    got, clock = restarting(part * 3)
    assert got == [0, 40, 2000, 2040, 2080, 4040, 4080, 4120, 6080]
    assert [restart.offset_ticks for restart in clock.restarts] == [2040, 4080]


def test_a_single_stray_time_is_no_restart() -> None:
    got, clock = restarting([1960, 2000, 0, 2080, 2120])
    assert got == [1960, 2000, 2040, 2080, 2120]
    assert clock.restarts == []
    assert clock.disordered == 1


def test_first_times_are_counted_back_from_the_first_known() -> None:
    clock = PresentationClock(Fraction(40))
    assert clock.count_back(5080, 2) == 5000
    assert [clock.next(n, t) for n, t in enumerate([None, None, 5080])] == [5000, 5040, 5080]
