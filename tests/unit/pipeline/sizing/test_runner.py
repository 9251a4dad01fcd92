"""Which runner a job takes."""

from __future__ import annotations

from pipeline.sizing.runner import choose_runner


def chosen(
    requested: str,
    *,
    videos: int = 1,
    segments: int = 1,
    cores: int = 2,
    address: str | None = None,
) -> str:
    return choose_runner(requested, videos=videos, segments=segments, cores=cores, address=address)[
        0
    ]


def test_one_short_video_runs_without_ray() -> None:
    assert chosen("auto") == "local"
    assert chosen("auto", segments=2, cores=16) == "local"


def test_a_long_video_takes_ray_where_there_are_cores_for_it() -> None:
    assert chosen("auto", segments=50, cores=16) == "ray"
    assert chosen("auto", segments=50, cores=2) == "local"


def test_several_videos_or_an_address_take_ray() -> None:
    assert chosen("auto", videos=2, segments=2) == "ray"
    assert chosen("auto", address="auto") == "ray"


def test_what_was_asked_for_is_taken() -> None:
    assert chosen("local", videos=9, segments=90, cores=64) == "local"
    assert chosen("ray") == "ray"
