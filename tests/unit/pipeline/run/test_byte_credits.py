"""The bound on bytes under way."""

from __future__ import annotations

import threading

import pytest

from pipeline.run.byte_credits import ByteCredits


def never() -> None:
    """Do not give up."""


def test_a_frame_waits_until_there_is_room() -> None:
    credits_ = ByteCredits(10)
    credits_.take(1, 6, never)
    through = threading.Event()

    def second() -> None:
        credits_.take(2, 6, never)
        through.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not through.wait(0.2)
    credits_.give_back(1)
    assert through.wait(5)
    thread.join()
    assert (credits_.peak_bytes, credits_.travelled_bytes) == (6, 12)
    assert credits_.waited_s >= 0.2


def test_the_oldest_frame_always_gets_what_it_wants() -> None:
    credits_ = ByteCredits(10)
    credits_.take(1, 50, never)
    credits_.take(1, 50, never)  # a second pool of the same frame
    assert credits_.peak_bytes == 100


def test_an_older_frame_passes_younger_ones_that_hold_everything() -> None:
    credits_ = ByteCredits(10)
    credits_.take(2, 10, never)
    credits_.take(1, 5, never)
    assert credits_.peak_bytes == 15


def test_waiting_can_be_given_up() -> None:
    credits_ = ByteCredits(10)
    credits_.take(1, 10, never)

    def give_up() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        credits_.take(2, 1, give_up)


def test_without_a_limit_bytes_are_only_counted() -> None:
    credits_ = ByteCredits(None)
    for pts in range(5):
        credits_.take(pts, 100, never)
    assert credits_.peak_bytes == 500
    assert credits_.waited_s < 0.1
