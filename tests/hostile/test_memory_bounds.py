"""Memory is bounded in bytes: fewer frames of large pictures, and none of what cannot fit."""

from __future__ import annotations

import time
import tracemalloc
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline
from nodes.encode.encoders import EncodeConfig, plan_encoder
from nodes.errors import MediaError
from nodes.media.open import open_media
from nodes.node import Inputs, Outputs, Segment
from pipeline.config import RunOptions
from pipeline.graph.prepare import prepared
from pipeline.run import memory
from pipeline.run.channel import BEFORE_POOL
from pipeline.run.executor import SegmentExecutor
from pipeline.run.local import LocalRunner
from pipeline.run.malloc import FreeMemory
from pipeline.run.memory import FACE_BYTES, check_fits, frames_at_once, machine_bytes, picture_bytes
from tests.support.media import Video, make_video
from tests.support.toy_nodes import (
    INFO,
    Add,
    AddConfig,
    Count,
    CountConfig,
    before_pool,
    diamond,
)

pytestmark = pytest.mark.filterwarnings("default")

HD = replace(INFO, width_px=1920, height_px=1080, pix_fmt="yuv420p")
UHD = replace(HD, width_px=3840, height_px=2160)
TWICE_UHD = replace(HD, width_px=7680, height_px=4320)
GIF = replace(HD, width_px=8000, height_px=8000, pix_fmt="yuv444p")


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (HD, 3_110_400),
        (replace(HD, pix_fmt="yuv420p10le"), 6_220_800),
        (GIF, 192_000_000),
        (replace(HD, width_px=3, height_px=1, pix_fmt="yuv420p"), 5),
    ],
)
def test_a_picture_takes_what_its_format_says(info: memory.VideoInfo, expected: int) -> None:
    assert picture_bytes(info) == expected


@pytest.mark.parametrize(
    ("infos", "frames"),
    [((HD, HD), 32), ((UHD, UHD), 15), ((UHD, HD, TWICE_UHD), 6), ((GIF, GIF), 2), ((HD,), 32)],
)
def test_the_larger_the_pictures_the_fewer_are_under_way(
    infos: tuple[memory.VideoInfo, ...], frames: int
) -> None:
    assert frames_at_once(infos, most_frames=32, most_bytes=384_000_000) == frames


class AtOnce:
    """A pool that answers at once."""

    busy_s = 0.0

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        answer: Future[Outputs] = Future()
        answer.set_result({"out": inputs.get("in", object)})  # pyright: ignore[reportArgumentType]
        return answer


@pytest.mark.parametrize(("most_bytes", "most"), [(24, 3), (8, 2), (240, 5)])
def test_a_run_keeps_to_it(most_bytes: int, most: int, tmp_path: Path) -> None:
    """Each of the toy's frames is 4 bytes read and 4 written; its sink is slow."""
    graph = diamond(CountConfig(frames=40), AddConfig(delay_s=0.01))
    executor = SegmentExecutor(
        graph,
        prepared(graph),
        {"double": AtOnce()},
        threads=1,
        window_frames=5,
        picture_bytes=most_bytes,
    )
    source, ahead = executor._nodes["count"], list[int]()
    assert isinstance(source, Count)
    executor.run(
        Segment("v", tmp_path, threads=1),
        lambda progress: ahead.append(source.sent - progress.frames),
    )
    assert max(ahead) == most


def test_a_segment_leaves_no_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    returned = list[FreeMemory]()

    def give_back(memory: FreeMemory) -> None:
        returned.append(memory)

    monkeypatch.setattr(FreeMemory, "give_back", give_back)
    graph = diamond(CountConfig(frames=1))
    executor = SegmentExecutor(
        graph, prepared(graph), {"double": AtOnce()}, threads=1, window_frames=2
    )
    executor.run(Segment("v", tmp_path, threads=1), lambda _progress: None)
    assert returned


def test_a_local_run_bounds_the_bytes_of_faces(tmp_path: Path) -> None:
    graph = diamond(CountConfig(frames=1))
    for store_mb, expected in ((None, FACE_BYTES), (3, 3_000_000)):
        runner = LocalRunner(graph, prepared(graph), RunOptions(store_mb=store_mb), threads=1)
        with runner:
            assert runner._executor._window_bytes == expected


def test_what_cannot_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 4_000_000_000)
    check_fits([UHD, TWICE_UHD], threads=2, name="v")
    check_fits([GIF], threads=2, name="v")
    with pytest.raises(MediaError, match=r"take about 6\.1 GB at least, and it has 4\.0 GB"):
        check_fits([replace(GIF, width_px=16000)], threads=2, name="v")


def test_it_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 10_000)
    source = make_video(tmp_path / "a.mkv", Video(frames=3))
    with pytest.raises(MediaError, match="too large for this machine"):
        pipeline.enhance(source, tmp_path / "out" / "b.mkv", settings=("enhance.weights=bicubic",))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.mkv"]


def test_a_scale_that_makes_it_too_large_is_refused_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = diamond(CountConfig(frames=3))
    monkeypatch.setattr(memory, "machine_bytes", lambda: 10)
    executor = SegmentExecutor(graph, prepared(graph), {}, threads=1, window_frames=4)
    with pytest.raises(MediaError, match="too large"):
        executor.run(Segment("v", tmp_path, threads=1), lambda _: None)


@pytest.mark.parametrize(("said", "expected"), [("1000\n", 1000), ("max\n", None), ("", None)])
def test_a_containers_limit_counts(
    said: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_LIMITS", (str(tmp_path / "none"),))
    whole = machine_bytes()
    (tmp_path / "memory.max").write_text(said)
    monkeypatch.setattr(memory, "_LIMITS", (str(tmp_path / "memory.max"),))
    assert machine_bytes() == (expected or whole)


@pytest.mark.parametrize(("info", "expected"), [(HD, None), (UHD, None), (TWICE_UHD, "2")])
def test_an_encoder_looks_less_far_ahead_in_large_pictures(
    info: memory.VideoInfo, expected: str | None
) -> None:
    plan = plan_encoder(EncodeConfig(codec="x264"), info, threads=2)
    assert plan.options.get("rc-lookahead") == expected
    assert plan.options.get("bf") == (None if expected is None else "1")
    mine = EncodeConfig(codec="x264", options={"rc-lookahead": "7"})
    assert plan_encoder(mine, info, threads=2).options["rc-lookahead"] == "7"


def test_faces_do_not_pile_up_before_a_slow_pool(tmp_path: Path) -> None:
    """Frames on their way to the pool are few, although the window has room for many."""
    graph = before_pool(CountConfig(frames=40))
    made, ahead = list[int](), list[int]()

    class Making(Add):
        def process(self, inputs: Inputs) -> Outputs:
            made.append(inputs.pts)
            return super().process(inputs)

    class Slow(AtOnce):
        def submit(self, inputs: Inputs) -> Future[Outputs]:
            time.sleep(0.003)
            ahead.append(len(made) - len(ahead))
            return super().submit(inputs)

    nodes = {**prepared(graph), "add": Making(AddConfig())}
    executor = SegmentExecutor(graph, nodes, {"double": Slow()}, threads=1, window_frames=30)
    executor.run(Segment("v", tmp_path, threads=1), lambda _: None)
    assert len(ahead) == 40
    assert BEFORE_POOL <= max(ahead) <= BEFORE_POOL + 2


def test_an_animated_webp_is_not_kept_in_memory(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 400, 400, 3), dtype=np.uint8)
    first, *others = map(Image.fromarray, noise)
    file = tmp_path / "a.webp"
    first.save(file, save_all=True, append_images=others, quality=1, method=0)
    tracemalloc.start()
    try:
        with open_media(str(file)) as container:
            assert sum(1 for _ in container.decode(video=0)) == len(noise)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # As PNG, 12 pictures of noise take 12 times 480 000 bytes; Pillow and libav hold a few.
    assert peak < 3_000_000
