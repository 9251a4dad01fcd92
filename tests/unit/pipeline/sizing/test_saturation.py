"""Where a cluster would saturate, as sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.sizing.sizing import Machine, Wishes, size
from tests.bench.saturation import Load, Rates, saturate

RATES = Rates(
    worker_s_a_frame=0.05,
    enhancer_s_a_face=0.0005,
    bytes_a_face=100_000,
    link_bytes_a_s=1e9,
    driver_s_a_segment=0.1,
)
LOAD = Load(faces_a_frame=4, segment_frames=500)
EIGHT_GPUS = size([Machine("m", cpus=72, gpus=8)], segments=1000, wishes=Wishes(workers=64))


def test_slow_decoding_leaves_gpus_idle() -> None:
    found = saturate(EIGHT_GPUS, RATES, LOAD)
    assert found.limit == "workers"
    assert found.fps == pytest.approx(64 / 0.05)
    assert found.busy["workers"] == 1
    assert found.busy["enhancers"] < 0.4


def test_crowds_saturate_the_gpus() -> None:
    found = saturate(EIGHT_GPUS, RATES, replace(LOAD, faces_a_frame=50))
    assert found.limit == "enhancers"
    assert found.fps == pytest.approx(8 / (50 * 0.0005))


def test_faces_that_leave_their_machine_may_saturate_the_network() -> None:
    two = size([Machine("a", 32, 0), Machine("b", 8, 8)], segments=1000)
    slow = replace(RATES, link_bytes_a_s=1e7)
    assert saturate(two, slow, replace(LOAD, far_share=0.8)).limit == "network"
    assert saturate(two, slow, LOAD).network_fps == float("inf")


def test_very_short_segments_saturate_the_driver() -> None:
    found = saturate(EIGHT_GPUS, RATES, replace(LOAD, segment_frames=10))
    assert found.limit == "driver"
    assert found.fps == pytest.approx(100)


def test_twice_the_workers_do_twice_as_much_until_something_else_saturates() -> None:
    def fps(workers: int) -> float:
        machine = Machine("m", cpus=workers + 8, gpus=8)
        sizing = size([machine], segments=10_000, wishes=Wishes(workers=workers))
        return saturate(sizing, RATES, LOAD).fps

    assert fps(128) == pytest.approx(2 * fps(64))
    assert fps(2048) == fps(1024)


def test_workers_without_a_core_of_their_own_do_no_more() -> None:
    full = size([Machine("m", cpus=16, gpus=1)], segments=1000, wishes=Wishes(workers=15))
    crowded = size([Machine("m", cpus=16, gpus=1)], segments=1000, wishes=Wishes(workers=60))
    assert (
        saturate(crowded, RATES, LOAD).workers_fps <= 1.1 * saturate(full, RATES, LOAD).workers_fps
    )
