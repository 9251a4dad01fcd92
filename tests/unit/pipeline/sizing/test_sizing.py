"""Sizing a job for a cluster, as sentences."""

from __future__ import annotations

import pytest

from pipeline.sizing.sizing import Machine, Placement, Sizing, Wishes, claim, missing, size

GB = 1 << 30


def cluster(*cpus_and_gpus: tuple[float, float]) -> list[Machine]:
    return [
        Machine(f"m{number}", cpus, gpus, 10 * GB)
        for number, (cpus, gpus) in enumerate(cpus_and_gpus)
    ]


def one(sizing: Sizing) -> Placement:
    (part,) = sizing.placements
    return part


SHAPES = {
    "laptop": cluster((2, 0)),
    "one_core": cluster((1, 0)),
    "workstation": cluster((16, 1)),
    "part_of_a_gpu": cluster((3, 0.5)),
    "eight_gpus": cluster((64, 8)),
    "cpu_machines": cluster((2, 0), (8, 0), (200, 0)),
    "gpu_and_cpu_machines": cluster((32, 4), (64, 0), (8, 1)),
    "head_without_cores": cluster((0, 0), (4, 0), (4, 0)),
}
WISHES = {
    "nothing": Wishes(),
    "workers": Wishes(workers=7),
    "enhancers": Wishes(enhancers=5),
    "halves": Wishes(enhancer_gpus=0.5),
    "thirds": Wishes(enhancer_gpus=0.33),
    "too_many_halves": Wishes(enhancers=9, enhancer_gpus=0.5),
    "no_gpu": Wishes(enhancer_gpus=0),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("segments", [1, 2, 5, 1000])
def test_every_actor_fits_on_its_machine(shape: str, wish: str, segments: int) -> None:
    machines = {machine.name: machine for machine in SHAPES[shape]}
    sizing = size(SHAPES[shape], segments=segments, wishes=WISHES[wish])
    assert sizing.workers >= 1
    assert sizing.enhancers >= 1
    for part in sizing.placements:
        machine = machines[part.machine]
        claimed = part.workers * part.worker_cpus + part.enhancers * part.enhancer_cpus
        assert claimed <= machine.cpus + 1e-9
        assert part.worker_cpus > 0
        assert part.enhancer_cpus > 0
        if part.enhancer_gpus:
            whole, rest = divmod(machine.gpus, 1)
            slots = whole * int(1 / part.enhancer_gpus) + int(rest / part.enhancer_gpus)
            assert part.enhancers <= slots


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("segments", [1, 2, 5, 1000])
def test_no_worker_is_without_a_segment_and_no_enhancer_without_a_worker(
    shape: str, segments: int
) -> None:
    sizing = size(SHAPES[shape], segments=segments)
    assert sizing.enhancers <= sizing.workers <= segments


def test_two_cores_run_two_segments_side_by_side() -> None:
    part = one(size(SHAPES["laptop"], segments=5))
    assert (part.workers, part.worker_threads) == (2, 1)
    assert (part.enhancers, part.enhancer_threads) == (1, 1)


def test_without_a_gpu_half_of_the_cores_run_the_network() -> None:
    part = one(size(cluster((16, 0)), segments=1000))
    assert (part.workers, part.enhancers, part.enhancer_threads) == (8, 1, 8)
    part = one(size(cluster((64, 0)), segments=1000))
    assert (part.workers, part.enhancers, part.enhancer_threads) == (32, 4, 8)


def test_without_gpus_each_machine_with_workers_has_its_own_enhancer() -> None:
    sizing = size(cluster((4, 0), (4, 0), (4, 0)), segments=1000)
    assert [(part.workers, part.enhancers) for part in sizing.placements] == [(2, 1)] * 3


def test_each_gpu_has_an_enhancer_and_every_core_a_worker() -> None:
    part = one(size(SHAPES["eight_gpus"], segments=1000))
    assert (part.workers, part.enhancers, part.enhancer_gpus) == (64, 8, 1.0)


def test_machines_without_gpus_work_for_those_with() -> None:
    sizing = size(SHAPES["gpu_and_cpu_machines"], segments=1000)
    assert [part.enhancers for part in sizing.placements] == [4, 0, 1]
    assert [part.workers for part in sizing.placements] == [32, 64, 8]


def test_few_segments_go_where_the_gpus_are() -> None:
    sizing = size(cluster((8, 0), (8, 1)), segments=1)
    assert [part.machine for part in sizing.placements] == ["m1"]


def test_workers_that_have_a_segment_stay_where_they_are() -> None:
    machines = cluster((4, 0), (4, 0), (4, 0))
    sizing = size(machines, segments=2, busy={"m1": 1, "m2": 1})
    assert [(part.machine, part.workers, part.enhancers) for part in sizing.placements] == [
        ("m1", 1, 1),
        ("m2", 1, 1),
    ]
    assert size(machines, segments=1, busy={"m2": 2}).workers == 2


def test_a_part_of_a_gpu_is_claimed_as_offered() -> None:
    assert one(size(SHAPES["part_of_a_gpu"], segments=9)).enhancer_gpus == 0.5


def test_several_enhancers_share_a_gpu_when_asked_for() -> None:
    part = one(size(cluster((16, 2)), segments=99, wishes=Wishes(enhancer_gpus=0.5)))
    assert (part.enhancers, part.enhancer_gpus) == (4, 0.5)
    # Three on two GPUs: a share of 0.66 would fit only once on each.
    part = one(size(cluster((16, 2)), segments=99, wishes=Wishes(enhancers=3)))
    assert (part.enhancers, part.enhancer_gpus) == (3, 0.5)


def test_gpus_are_left_alone_when_asked_for() -> None:
    part = one(size(SHAPES["workstation"], segments=99, wishes=Wishes(enhancer_gpus=0)))
    assert (part.enhancers, part.enhancer_gpus, part.enhancer_threads) == (1, 0.0, 8)


def test_configured_numbers_are_kept() -> None:
    wishes = Wishes(workers=4, enhancers=2)
    sizing = size(SHAPES["laptop"], segments=10, wishes=wishes)
    assert (sizing.workers, sizing.enhancers) == (4, 2)


def test_a_machine_without_cores_takes_no_part() -> None:
    sizing = size(SHAPES["head_without_cores"], segments=9)
    assert [part.machine for part in sizing.placements] == ["m1", "m2"]


def test_what_is_under_way_fits_the_smallest_store_whoever_holds_it() -> None:
    machines = [Machine("a", 4, store_bytes=GB), Machine("b", 4, store_bytes=4 * GB)]
    sizing = size(machines, segments=99)
    assert sizing.worker_bytes is not None
    assert sizing.worker_bytes * sizing.workers <= 0.3 * GB
    assert size(machines, segments=99, wishes=Wishes(store_bytes=4000)).worker_bytes == 1000


def test_without_a_known_store_nothing_is_promised() -> None:
    assert size([Machine("a", 4)], segments=9).worker_bytes is None


def test_an_empty_cluster_gets_nothing() -> None:
    assert size([], segments=9) == Sizing((), None)


def test_a_core_is_asked_for_each_segment_that_has_no_worker() -> None:
    sizing = size(SHAPES["laptop"], segments=5)
    assert missing(sizing, segments=5, on_gpus=False) == [{"CPU": 1.0}] * 3
    assert missing(sizing, segments=2, on_gpus=False) == []
    assert missing(Sizing((), None), segments=1, on_gpus=False) == [{"CPU": 1.0}]


def test_gpus_are_asked_for_along_with_the_workers_that_feed_them() -> None:
    sizing = size(SHAPES["workstation"], segments=30)
    asked = missing(sizing, segments=30, on_gpus=True)
    assert asked == [{"CPU": 1.0}] * 14 + [{"CPU": 1.0, "GPU": 1.0}] * 2


def test_no_more_is_asked_for_than_configured() -> None:
    sizing = size(SHAPES["laptop"], segments=99, wishes=Wishes(workers=2))
    assert missing(sizing, segments=99, on_gpus=False, wishes=Wishes(workers=2)) == []
    assert len(missing(sizing, segments=9999, on_gpus=False)) == 32


def test_actors_made_later_claim_only_what_the_others_leave() -> None:
    before = size(cluster((1, 0), (1, 0)), segments=9, wishes=Wishes(workers=2))
    after = one(size(cluster((1, 0)), segments=9, wishes=Wishes(workers=2)))
    first = before.placements[0]
    held = first.workers * first.worker_cpus + first.enhancers * first.enhancer_cpus
    assert (first.workers, after.workers) == (1, 2)
    assert held + after.worker_cpus > 1
    assert claim(after.worker_cpus, cpus=after.cpus, claimed=held) == 0


@pytest.mark.parametrize(
    ("wanted", "held", "claimed"),
    [(0.5, 0.0, 0.5), (0.5, 3.6, 0.4), (0.5, 4.0, 0.0), (0.5, 5.0, 0.0), (4.0, 1.5, 2.0)],
)
def test_a_claim_is_what_ray_takes_and_a_machine_has(
    wanted: float, held: float, claimed: float
) -> None:
    assert claim(wanted, cpus=4.0, claimed=held) == pytest.approx(claimed, abs=0.011)
