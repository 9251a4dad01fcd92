"""Where the next block goes, as sentences."""

from __future__ import annotations

from pipeline.sizing.routing import Load, choose


def test_the_member_with_the_fewest_blocks_under_way_is_chosen() -> None:
    assert choose([Load(2, near=True), Load(1, near=True), Load(3, near=True)]) == 1


def test_the_same_machine_comes_first() -> None:
    assert choose([Load(0, near=False), Load(0, near=True)]) == 1
    assert choose([Load(0, near=False), Load(2, near=True)]) == 1


def test_a_busy_member_here_gives_way_to_an_idle_one_elsewhere() -> None:
    assert choose([Load(0, near=False), Load(3, near=True)]) == 0


def test_a_member_that_does_not_answer_is_left_out() -> None:
    assert choose([Load(0, near=True, answering=False), Load(9, near=False)]) == 1


def test_while_nobody_answers_nobody_is_chosen() -> None:
    assert choose([Load(0, near=True, answering=False)]) is None
    assert choose([]) is None
