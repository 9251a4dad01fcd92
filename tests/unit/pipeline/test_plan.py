"""Sizing a job, as sentences."""

from __future__ import annotations

import pytest

from pipeline.plan import choose_runner, plan_cluster


def test_one_video_runs_without_ray() -> None:
    assert choose_runner("auto", videos=1, address=None)[0] == "local"


def test_several_videos_or_an_address_take_ray() -> None:
    assert choose_runner("auto", videos=2, address=None)[0] == "ray"
    assert choose_runner("auto", videos=1, address="auto")[0] == "ray"


def test_what_was_asked_for_is_taken() -> None:
    assert choose_runner("local", videos=9, address=None)[0] == "local"
    assert choose_runner("ray", videos=1, address=None)[0] == "ray"


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 8, 16, 64, 200])
@pytest.mark.parametrize("gpus", [0, 0.5, 1, 2, 8])
@pytest.mark.parametrize("segments", [1, 2, 50])
def test_every_actor_of_a_plan_can_be_placed(cpus: int, gpus: float, segments: int) -> None:
    plan = plan_cluster(cpus=cpus, gpus=gpus, segments=segments)
    claimed = plan.workers * plan.worker_cpus + plan.enhancers * plan.enhancer_cpus
    assert claimed <= cpus + 1e-9
    assert plan.enhancers * plan.enhancer_gpus <= gpus + 1e-9
    assert 1 <= plan.workers <= segments
    assert plan.worker_cpus > 0
    assert plan.enhancer_cpus > 0


def test_two_cores_run_two_videos_side_by_side() -> None:
    plan = plan_cluster(cpus=2, gpus=0, segments=5)
    assert (plan.workers, plan.enhancers) == (2, 1)
    assert plan.worker_threads == 1


def test_each_gpu_has_an_enhancer() -> None:
    plan = plan_cluster(cpus=64, gpus=8, segments=1000)
    assert (plan.enhancers, plan.enhancer_gpus) == (8, 1.0)
    assert plan.workers == 64


def test_configured_numbers_are_kept() -> None:
    plan = plan_cluster(cpus=2, gpus=0, segments=10, workers=4, enhancers=2)
    assert (plan.workers, plan.enhancers) == (4, 2)
