"""The Ray runner's output is the local runner's, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

import pipeline
from tests.support.footage import looped
from tests.support.media import decode_all
from tests.support.video_nodes import largest_difference

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),
]

SETTINGS = ("encode.codec=ffv1", "run.segment_s=0.8", "run.threads=2")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return looped(tmp_path_factory.mktemp("footage") / "face.mp4", 60)


@pytest.fixture(scope="module")
def local(source: Path) -> Path:
    target = source.with_name("local.mkv")
    pipeline.enhance(source, target, runner="local", settings=SETTINGS)
    return target


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One embedded Ray for all numbers of workers."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize(("workers", "enhancers"), [(1, 1), (2, 1), (3, 2)])
def test_frames_times_and_pixels_are_the_local_runners(
    tmp_path: Path, source: Path, local: Path, workers: int, enhancers: int
) -> None:
    target = tmp_path / "ray.mkv"
    sizes = (f"run.workers={workers}", f"run.enhancers={enhancers}")
    report = pipeline.enhance(source, target, runner="ray", settings=(*SETTINGS, *sizes))
    assert report.runner["name"] == "ray"
    assert (report.videos[0].segments, report.videos[0].faces > 0) == (3, True)
    made, expected = decode_all(target), decode_all(local)
    assert [frame.pts for frame in made] == [frame.pts for frame in expected]
    assert largest_difference(made, expected) <= 1
