"""`Enhancer`: pictures of a program go in and come out."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

import pipeline
from nodes.errors import MediaError, UnsupportedFormatError
from nodes.frame_filter import FrameFilter
from nodes.node import NodeConfig
from nodes.types import RgbImage
from pipeline.errors import GraphError, NodeFailedError
from tests.support.faces import waves
from tests.support.media import Video, decode_all, make_video, planes

pytestmark = pytest.mark.filterwarnings("default")

COPY: dict[str, Any] = {
    "name": "copy",
    "nodes": {
        "decode": {"type": "aminet.decode"},
        "encode": {"type": "aminet.encode", "inputs": {"frames": "decode.frames"}},
    },
}


class ShiftConfig(NodeConfig):
    fails_at: int | None = None
    """Where it fails."""


class Shift(FrameFilter[ShiftConfig], type_name="test.shift", summary="shift to the right"):
    Config = ShiftConfig

    def __init__(self, config: ShiftConfig) -> None:
        super().__init__(config)
        self.seen = 0

    def filter(self, rgb: RgbImage) -> RgbImage:
        self.seen += 1
        if self.seen == self.config.fails_at:
            raise ValueError("that was too much")
        return np.roll(rgb, 1, axis=1)


def shifting(**config: Any) -> dict[str, Any]:
    shift = {"type": Shift, "inputs": {"frames": "decode.frames"}, "config": config}
    encode = {"type": "aminet.encode", "inputs": {"frames": "shift.frames"}}
    return {**COPY, "nodes": {**COPY["nodes"], "shift": shift, "encode": encode}}


def noise(number: int, shape: tuple[int, int] = (48, 64)) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (*shape, 3), dtype=np.uint8)


def running() -> int:
    return sum(thread.name == "aminet-stream" for thread in threading.enumerate())


def test_every_colour_of_an_array_comes_back_as_it_was() -> None:
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(43, -1, 3)
    with pipeline.Enhancer(graph=COPY) as enhancer:
        assert np.array_equal(enhancer(colours), colours)
        flipped = noise(1)[::-1, ::-1]  # not contiguous
        assert np.array_equal(enhancer(flipped), flipped)
        odd = noise(2, (47, 63))
        assert np.array_equal(enhancer(odd), odd)


def test_an_array_goes_through_the_graph_with_its_colours_in_order() -> None:
    with pipeline.Enhancer(graph=shifting()) as enhancer:
        assert np.array_equal(enhancer(noise(1)), np.roll(noise(1), 1, axis=1))


def test_a_stream_of_arrays_gives_one_for_each_in_order() -> None:
    with pipeline.Enhancer(graph=shifting()) as enhancer:
        made = list(enhancer.stream(noise(number) for number in range(30)))
        again = list(enhancer.stream([noise(5)]))
        assert list(enhancer.stream(iter([noise(0)][:0]))) == []
    wanted = [np.roll(noise(number), 1, axis=1) for number in range(30)]
    assert len(made) == 30
    assert all(np.array_equal(a, b) for a, b in zip(made, wanted, strict=True))
    assert np.array_equal(again[0], wanted[5])


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_frames_of_pyav_keep_format_times_and_pixels(tmp_path: Path, pix_fmt: str) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=20, codec="ffv1", pix_fmt=pix_fmt))
    with av.open(source) as container, pipeline.Enhancer(graph=COPY) as enhancer:
        made = list(enhancer.stream(container.decode(video=0)))
    for one, other in zip(made, decode_all(source), strict=True):
        assert (one.format.name, one.pts, one.time) == (other.format.name, other.pts, other.time)
        assert all(np.array_equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))


@pytest.mark.parametrize("name", ["rgb24", "bgr24"])
def test_packed_frames_of_pyav_come_back_packed(name: str) -> None:
    with pipeline.Enhancer(graph=shifting()) as enhancer:
        made = enhancer(av.VideoFrame.from_ndarray(noise(1), format=name))
    assert made.format.name == name
    assert np.array_equal(made.to_ndarray(), np.roll(noise(1), 1, axis=1))


def test_frames_without_times_are_counted() -> None:
    pictures = [waves(64, 48, "yuv420p", seed=seed) for seed in range(4)]
    with pipeline.Enhancer(graph=shifting()) as enhancer:
        made = list(enhancer.stream(pictures, rate=Fraction(30000, 1001)))
    assert [frame.time for frame in made] == pytest.approx([i * 1001 / 30000 for i in range(4)])


def test_frames_are_taken_in_the_callers_thread_and_few_are_held() -> None:
    threads: set[str] = set()
    alive: list[weakref.ref[Any]] = []
    most = 0

    def source() -> Iterator[npt.NDArray[np.uint8]]:
        for number in range(60):
            threads.add(threading.current_thread().name)
            picture = noise(number)
            alive.append(weakref.ref(picture))
            yield picture

    with pipeline.Enhancer(graph=shifting()) as enhancer:
        for given, _ in enumerate(enhancer.stream(source())):
            most = max(most, len(alive) - given)
            gc.collect(0)
            assert sum(ref() is not None for ref in alive) <= 3
    assert threads == {threading.current_thread().name}
    assert len(alive) == 60
    assert most <= 9


def test_leaving_a_stream_ends_its_work_and_the_enhancer_goes_on() -> None:
    with pipeline.Enhancer(graph=shifting()) as enhancer:
        frames = enhancer.stream(noise(number) for number in range(1000))
        next(frames)
        with pytest.raises(RuntimeError, match="busy with a stream: close that first"):
            enhancer(noise(0))
        frames.close()
        assert running() == 0
        assert enhancer(noise(0)).shape == (48, 64, 3)
        other = enhancer.stream(noise(number) for number in range(1000))
        next(other)
    assert running() == 0
    with pytest.raises(RuntimeError, match="is closed"):
        enhancer(noise(0))
    enhancer.close()


def test_an_error_of_the_callers_generator_is_the_callers() -> None:
    def source() -> Iterator[npt.NDArray[np.uint8]]:
        yield noise(0)
        raise KeyError("the camera is gone")

    with pipeline.Enhancer(graph=shifting()) as enhancer:
        with pytest.raises(KeyError, match="the camera is gone"):
            list(enhancer.stream(source()))
        assert running() == 0
        assert len(list(enhancer.stream([noise(0)]))) == 1


def test_an_error_of_a_node_names_it() -> None:
    with pipeline.Enhancer(graph=shifting(fails_at=3)) as enhancer:
        with pytest.raises(NodeFailedError, match=r"'shift' \(test\.shift\): ValueError: that"):
            list(enhancer.stream(noise(number) for number in range(100)))
        assert running() == 0


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (noise(0)[..., 0], r"shape \(48, 64\) and type uint8.*COLOR_GRAY2BGR"),
        (np.zeros((8, 8, 4), np.uint8), "COLOR_BGRA2BGR"),
        (np.zeros((2, 8, 8, 3), np.uint8), "give several pictures to `stream`"),
        (np.zeros((8, 8, 3), np.float32), r"type float32.*255 \* picture"),
        (np.zeros((0, 8, 3), np.uint8), "expected"),
        ("picture.png", "got a str, expected a NumPy array"),
        (None, "got a NoneType, expected a NumPy array"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_to_do(picture: Any, said: str) -> None:
    with pipeline.Enhancer(graph=COPY) as enhancer, pytest.raises(MediaError, match=said):
        enhancer(picture)


def test_frames_that_do_not_fit_together_are_refused() -> None:
    later = waves(64, 48, "yuv420p")
    later.pts, later.time_base = 5, Fraction(1, 25)
    earlier = waves(64, 48, "yuv420p")
    earlier.pts, earlier.time_base = 4, Fraction(1, 25)
    with pipeline.Enhancer(graph=COPY) as enhancer:
        with pytest.raises(MediaError, match="picture 1 has pts 4, expected more than 5"):
            list(enhancer.stream([later, earlier]))
        with pytest.raises(MediaError, match="picture 1 is 8x4 BGR array, the first was 64x48"):
            list(enhancer.stream([noise(0), noise(1, (4, 8))]))
        with pytest.raises(UnsupportedFormatError, match="pixel format 'rgba'"):
            enhancer(av.VideoFrame(64, 48, "rgba"))
        assert running() == 0


def test_a_graph_without_one_encoder_is_refused() -> None:
    with pytest.raises(GraphError, match=r"has 0 nodes of type aminet\.encode"):
        pipeline.Enhancer(graph="tracks-only")


def test_a_look_that_is_none_is_refused_with_what_there_is() -> None:
    with pytest.raises(GraphError, match="'faithful' or 'sharp'"):
        pipeline.Enhancer(look="nice")
