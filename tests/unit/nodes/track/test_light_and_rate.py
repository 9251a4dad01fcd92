"""Track in poor light, out of focus, in film with few frames, and with a camera upside down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from nodes.node import Inputs
from nodes.track import Track, TrackConfig
from nodes.track.contrast import percentiles, with_contrast, with_detail
from nodes.types import Frame, FrameFaces
from tests.support import SAMPLES
from tests.support.faces import frame_of, info_of, portrait, scene, segment_in


@pytest.fixture
def track() -> Iterator[Track]:
    node = Track(TrackConfig())
    yield node
    node.close()


def numbers(track: Track, folder: Path, frames: list[Frame]) -> list[list[int]]:
    """Return the numbers of the confirmed faces of each frame."""
    track.open(segment_in(folder), {"frames": info_of(frames[0])})
    found: list[list[int]] = []
    for frame in frames:
        packet = track.process(Inputs({"frames": frame}))["faces"]
        assert isinstance(packet, FrameFaces)
        found.append([face.track_id for face in packet.faces if face.confirmed])
    return found


def lit(picture: Image.Image, gain: float, black: float = 0.0) -> Image.Image:
    """Return a picture in other light, with the noise of a sensor."""
    noise = np.random.default_rng(0).normal(0, 1, (picture.height, picture.width, 1))
    levels = np.asarray(picture, np.float64) * gain + black + noise
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def walking(step: int) -> Image.Image:
    return scene(480, 270, (portrait(140), 60 + 2 * step, 60))


@pytest.mark.parametrize("dark", [0.3, 0.06])
def test_under_a_lamp_that_comes_and_goes_one_face_has_one_number(
    track: Track, tmp_path: Path, dark: float
) -> None:
    pictures = [walking(i) if i % 4 < 2 else lit(walking(i), dark) for i in range(8)]
    found = numbers(track, tmp_path, [frame_of(p, i) for i, p in enumerate(pictures)])
    assert found == [[1]] * 8
    assert track.report()["cuts"] == 0


@pytest.mark.parametrize(
    ("gain", "black"), [(0.06, 0.0), (0.06, 16.0), (0.1, 110.0)], ids=["night", "raised", "haze"]
)
def test_a_face_in_poor_light_is_found(
    track: Track, tmp_path: Path, gain: float, black: float
) -> None:
    pictures = [lit(walking(i), gain, black) for i in range(4)]
    found = numbers(track, tmp_path, [frame_of(p, i) for i, p in enumerate(pictures)])
    assert found[-1] == [1]


def test_of_a_street_at_six_percent_light_most_are_found(track: Track, tmp_path: Path) -> None:
    frames = [replace(frame, picture=dimmed(frame.picture)) for frame in street(6)]
    assert numbers(track, tmp_path, frames)[-1][:4] == [1, 2, 3, 4]  # of five


def test_in_a_street_out_of_focus_all_are_found(track: Track, tmp_path: Path) -> None:
    lens = ImageFilter.GaussianBlur(1.0)
    frames = [frame_of(f.picture.to_image().filter(lens), f.index) for f in street(3)]
    assert numbers(track, tmp_path, frames)[-1] == [1, 2, 3, 4, 5]


def test_in_slow_film_each_person_has_one_number(track: Track, tmp_path: Path) -> None:
    every_5_s = [replace(f, index=i, pts=125 * i) for i, f in enumerate(street(60)[::12])]
    found = numbers(track, tmp_path, every_5_s)
    assert {number for faces in found for number in faces} == {1, 2, 3, 4, 5}
    assert found[2:] == [[1, 2, 3, 4, 5]] * 3


def test_faces_of_a_camera_that_hangs_upside_down_are_found(track: Track, tmp_path: Path) -> None:
    frames = [
        frame_of(frame.picture.to_image().transpose(Image.Transpose.ROTATE_180), frame.index)
        for frame in street(6)
    ]
    assert numbers(track, tmp_path, frames)[-1] == [1, 2, 3, 4, 5]


def test_one_face_upside_down_beside_an_upright_one_is_found(track: Track, tmp_path: Path) -> None:
    turned = portrait(120).transpose(Image.Transpose.ROTATE_180)
    picture = scene(480, 270, (portrait(120), 30, 60), (turned, 300, 60))
    found = numbers(track, tmp_path, [frame_of(picture, i) for i in range(3)])
    assert found[-1] == [1, 2]


@pytest.mark.parametrize("count", [1, 2, 50, 1024])
def test_percentiles_are_numpys(count: int) -> None:
    samples = np.random.default_rng(count).uniform(0, 255, count).astype(np.float32)
    percents = (0.0, 2.0, 50.0, 95.0, 100.0)
    wanted = np.percentile(samples, percents)
    assert percentiles(samples, percents) == pytest.approx(wanted, abs=1e-4)


def test_contrast_is_only_raised() -> None:
    rgb = np.asarray(portrait(128))
    assert with_contrast(rgb) is rgb
    dim = (rgb * 0.1 + 40).astype(np.uint8)
    assert np.ptp(np.percentile(dim, [2, 95])) < 25
    assert 80 < np.ptp(np.percentile(with_contrast(dim), [2, 95])) < 130


@pytest.mark.parametrize("sigma_px", [1.0, 1.5, 2.0])
def test_only_soft_views_are_sharpened(sigma_px: float) -> None:
    sharp = portrait(128)
    rgb = np.asarray(sharp)
    assert with_detail(rgb) is rgb
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(sigma_px)))
    off, off_before = (
        np.square(each - rgb.astype(float)).mean() for each in (with_detail(soft), soft)
    )
    assert off < 0.9 * off_before


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_stays_blank(level: int) -> None:
    rgb = np.full((128, 128, 3), level, np.uint8)
    assert np.ptp(with_detail(with_contrast(rgb))) == 0


def street(count: int) -> list[Frame]:
    with av.open(SAMPLES / "street.mp4") as container:
        pictures = list(container.decode(video=0))[:count]
    return [Frame(i, i, 1, picture) for i, picture in enumerate(pictures)]


def dimmed(picture: av.VideoFrame) -> av.VideoFrame:
    """Return a picture at 6 % light, in the codes of limited range."""
    planes = picture.to_ndarray().astype(np.float64)
    black = np.full(planes.shape, 128.0)
    black[: picture.height] = 16
    codes = np.round(black + (planes - black) * 0.06).astype(np.uint8)
    return av.VideoFrame.from_ndarray(codes, format="yuv420p")
