"""What is left of a shared cluster, as sentences."""

from __future__ import annotations

import pytest

from pipeline.sizing.sizing import Machine
from pipeline.sizing.spare import PATIENCE_S, Claims, OnCpus, SpareCapacity, Wait


def machine(cpus: float, free: float | None, name: str = "m") -> Machine:
    return Machine(name, cpus, free_cpus=free)


def left(spare: SpareCapacity, free: float | None, ours: float = 0, cpus: float = 4) -> float:
    (found,) = spare.left([machine(cpus, free)], {"m": Claims(ours)})
    return found.cpus


def test_what_others_hold_at_first_is_theirs() -> None:
    spare = SpareCapacity()
    assert left(spare, free=1) == 1
    assert left(spare, free=0, ours=1) == 1


def test_what_they_let_go_of_is_taken_up_when_it_was_seen_twice() -> None:
    spare = SpareCapacity()
    assert left(spare, free=1) == 1
    assert left(spare, free=2, ours=1) == 1
    assert left(spare, free=2, ours=1) == 3
    assert left(spare, free=3, ours=1) == 3
    assert left(spare, free=2, ours=1) == 3


def test_all_that_the_run_holds_counts() -> None:
    spare = SpareCapacity()
    spare.left([machine(4, 0)])
    spare.left([machine(4, 0)], {"m": Claims(1)}, {"m": Claims(2)})
    (found,) = spare.left([machine(4, 0)], {"m": Claims(1)}, {"m": Claims(2)})
    assert found.cpus == 3


def test_what_a_lost_actor_held_is_not_taken_for_what_others_held() -> None:
    spare = SpareCapacity()
    assert left(spare, free=2) == 2
    assert left(spare, free=0, ours=2) == 2
    assert left(spare, free=1, ours=2) == 2
    assert left(spare, free=1, ours=1) == 2


def test_an_actor_on_its_way_is_not_taken_for_another_jobs() -> None:
    spare = SpareCapacity()
    assert left(spare, free=4) == 4
    assert left(spare, free=3, ours=0) == 4


def test_what_others_take_later_is_not_given_up() -> None:
    spare = SpareCapacity()
    assert left(spare, free=4) == 4
    for _ in range(3):
        assert left(spare, free=0, ours=2) == 4


def test_a_machine_that_joins_is_the_runs_alone() -> None:
    spare = SpareCapacity()
    spare.left([machine(2, 0)])
    found = spare.left([machine(2, 0), machine(2, 1, "new")])
    assert [each.cpus for each in found] == [0, 2]


def test_too_little_is_no_room_but_a_small_machine_may_be_used_whole() -> None:
    assert left(SpareCapacity(), free=0.4) == 0
    assert left(SpareCapacity(), free=0.6, cpus=1) == 0.6
    assert left(SpareCapacity(), free=0.25, cpus=0.25) == 0.25


def test_where_nothing_is_known_all_is_taken_to_be_free() -> None:
    assert left(SpareCapacity(), free=None) == 4


def gpu_machine(free: float | None, gpus: float = 2) -> Machine:
    return Machine("m", 4, gpus, free_cpus=4, free_gpus=free)


def gpus_left(spare: SpareCapacity, free: float | None, ours: float = 0, gpus: float = 2) -> float:
    (found,) = spare.left([gpu_machine(free, gpus)], {"m": Claims(0, ours)})
    assert found.cpus == 4
    return found.gpus


def test_gpus_that_others_hold_are_theirs_until_they_let_go_of_them() -> None:
    spare = SpareCapacity()
    assert gpus_left(spare, free=1) == 1
    assert gpus_left(spare, free=0, ours=1) == 1
    assert gpus_left(spare, free=1, ours=1) == 1
    assert gpus_left(spare, free=1, ours=1) == 2
    assert gpus_left(spare, free=0, ours=1) == 2


@pytest.mark.parametrize(("free", "left"), [(1.5, 1.5), (0.5, 0.5), (0.01, 0), (None, 2)])
def test_a_part_of_a_gpu_is_left_unless_it_is_next_to_nothing(
    free: float | None, left: float
) -> None:
    assert gpus_left(SpareCapacity(), free) == left


def test_a_network_without_its_gpus_is_told_of_once_and_so_is_their_return() -> None:
    on_cpus, all_of_it, nothing = OnCpus(), [gpu_machine(0)], [gpu_machine(0, gpus=0)]
    told = on_cpus.line(all_of_it, nothing)
    assert told == "other jobs hold the cluster's GPUs (2): the network runs on CPUs for now"
    assert on_cpus.line(all_of_it, nothing) is None
    assert on_cpus.line(all_of_it, all_of_it) == "there are GPUs for the network now"
    assert on_cpus.line(all_of_it, all_of_it) is None
    assert on_cpus.line(nothing, nothing) is None


def test_a_wait_is_told_once_and_so_is_its_end() -> None:
    wait, full = Wait(), [machine(2, 0), machine(4, 0.5, "n")]
    assert wait.line(0, full, has_placement=False) is None
    assert wait.line(PATIENCE_S - 1, full, has_placement=False) is None
    told = wait.line(PATIENCE_S, full, has_placement=False)
    assert told == "waiting for room on the cluster: asked for 1 CPU, 0.5 of 6 free"
    assert wait.line(PATIENCE_S + 1, full, has_placement=False) is None
    assert wait.line(99, full, has_placement=True) == "there is room on the cluster now, going on"
    assert wait.line(100, full, has_placement=True) is None


def test_a_short_wait_and_a_cluster_without_cores_are_not_told() -> None:
    wait, full = Wait(), [machine(2, 0)]
    assert wait.line(0, full, has_placement=False) is None
    assert wait.line(5, full, has_placement=True) is None
    assert wait.line(20, full, has_placement=False) is None
    assert wait.line(99, [], has_placement=False) is None
