"""Photographs, numbered pictures and animations: the same out as in, but for the faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageSequence

import pipeline
from nodes.errors import MediaError
from pipeline.errors import OutputError
from pipeline.job.report import VideoReport
from pipeline.pictures.photo import encode_png
from tests.support import SAMPLES
from tests.support.exif import noise_jpeg, thumbnail_exif
from tests.support.media import AudioTrack, Video, decode_all, make_video

# MediaPipe and Ray warn of their own dependencies.
pytestmark = pytest.mark.filterwarnings("default")

SAMPLE = SAMPLES / "portrait.mp4"
OFF = ("enhance.weights=bicubic", "run.threads=1")


def run(source: Path | str, target: Path, *settings: str, **flags: Any) -> VideoReport:
    report = pipeline.enhance(
        str(source), target, runner="local", settings=(*OFF, *settings), **flags
    )
    return report.videos[0]


def waves(number: int = 0, alpha: bool = False) -> Image.Image:
    y, x = np.mgrid[0:48, 0:65]
    planes = [96 + 64 * np.sin((x * (i + 1) + 2 * y + 7 * number) / 9) for i in range(3)]
    planes += [x * 3.9] if alpha else []
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


def exif(camera: str, orientation: int = 6) -> Image.Exif:
    facts = Image.Exif()
    facts[0x0112], facts[0x010F] = orientation, camera
    return facts


def pixels(path: Path) -> npt.NDArray[np.int32]:
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int32)


def shown(path: Path) -> tuple[list[npt.NDArray[np.int32]], list[int], int | None]:
    """Return an animation's pictures, their times in milliseconds, and its repeats."""
    with Image.open(path) as image:
        loops = image.info.get("loop")
        pictures: list[npt.NDArray[np.int32]] = []
        times: list[int] = []
        for one in ImageSequence.Iterator(image):
            one.load()  # Pillow tells a WebP's times only then
            pictures.append(np.asarray(one.convert("RGBA")).astype(np.int32))
            times.append(round(one.info.get("duration", 0)))
    return pictures, times, loops


def test_a_photograph_changes_in_its_face_only(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    with av.open(SAMPLE) as container:
        face = next(container.decode(video=0)).to_image()
    turned = face.transpose(Image.Transpose.ROTATE_90)
    turned.save(source, exif=exif("Acme"), quality=85, comment=b"gate 4", icc_profile=b"profile")

    report = pipeline.enhance(source, target, runner="local").videos[0]

    assert report.faces == 1
    with Image.open(source) as before, Image.open(target) as after:
        assert after.getexif()[0x0112] == 6
        for fact in ("exif", "comment", "icc_profile"):
            assert after.info[fact] == before.info[fact]
        assert after.quantization == before.quantization  # pyright: ignore[reportAttributeAccessIssue]
    change = np.abs(pixels(source) - pixels(target)).max(axis=2)
    assert change.max() > 5
    rows, columns = np.nonzero(change > 2)
    face_share = np.ptp(rows) * np.ptp(columns) / change.size
    # Whole blocks of 16 pixels that the face reaches into are coded anew; all others are equal, but
    # for single rounding errors.
    assert 0.01 < np.mean(change > 0) < face_share + 0.1
    # Decoders interpolate chroma, so that the pixels next to such a block change, too.
    for elsewhere in (change[-8:], change[:, :16]):
        assert elsewhere.max() <= 1
        assert np.count_nonzero(elsewhere) <= 3


@pytest.mark.parametrize("mode", ["RGB", "L", "444"])
def test_an_untouched_jpeg_stays_as_it_is(tmp_path: Path, mode: str) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    if mode == "444":
        waves().save(source, subsampling=0, progressive=True)
    else:
        waves().convert(mode).save(source, subsampling=2)
    run(source, target)
    change = np.abs(pixels(source) - pixels(target))
    assert change.max() <= 2
    assert np.mean(change > 0) < 0.02
    with Image.open(source) as before, Image.open(target) as after:
        assert (after.mode, after.size) == (before.mode, before.size)
        assert after.info.get("progressive") == before.info.get("progressive")


def deep(channels: int) -> npt.NDArray[np.uint16]:
    shape = (48, 65) if channels == 1 else (48, 65, channels)
    return np.random.default_rng(1).integers(0, 65536, shape, dtype=np.uint16)


def test_png_and_webp_lose_no_bit(tmp_path: Path) -> None:
    for name, alpha in (("rgb.png", False), ("rgba.png", True), ("rgba.webp", True)):
        source = tmp_path / name
        waves(alpha=alpha).save(source, lossless=True, exif=exif("Acme", 8))
        run(source, tmp_path / "out" / name)
        assert np.array_equal(pixels(source), pixels(tmp_path / "out" / name)), name
        with Image.open(tmp_path / "out" / name) as made:
            assert made.getexif()[0x0112] == 8
    for name, samples in (("gray16.png", deep(1)), ("rgb16.png", deep(3)), ("a16.png", deep(4))):
        source, target = tmp_path / name, tmp_path / "out" / name
        source.write_bytes(encode_png(samples))
        run(source, target)
        with av.open(source) as one, av.open(target) as other:
            before, after = next(one.decode(video=0)), next(other.decode(video=0))
        assert after.format.name == before.format.name
        assert bytes(after.planes[0]) == bytes(before.planes[0]), name


@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_the_thumbnail_of_the_picture_before_is_not_kept(tmp_path: Path, form: str) -> None:
    thumbnail = noise_jpeg(1)
    source = tmp_path / f"in.{form}"
    waves().save(source, exif=thumbnail_exif("<", thumbnail), lossless=True)
    assert thumbnail in source.read_bytes()
    for suffix in (f".{form}", ".png"):
        target = tmp_path / f"out{suffix}"
        run(source, target, overwrite=True)
        content = target.read_bytes()
        # Its tables are every JPEG's.
        coded = thumbnail[thumbnail.index(b"\xff\xda") + 14 : -2]
        assert not any(coded[at : at + 8] in content for at in range(len(coded) - 8))
        with Image.open(target) as made:
            assert (made.getexif()[0x010F], made.getexif()[0x0112]) == ("Acme camera", 6)


@pytest.mark.parametrize("form", ["jpg", "png", "webp", "tiff"])
def test_another_kind_of_picture_keeps_the_orientation(tmp_path: Path, form: str) -> None:
    source = tmp_path / f"in.{form}"
    waves().save(source, exif=exif("Acme", 3), icc_profile=b"profile")
    for suffix in (".png", ".webp", ".jpeg"):
        target = tmp_path / f"out{suffix}"
        run(source, target, scale=2)
        with Image.open(target) as made:
            assert made.size == (130, 96)
            assert made.getexif()[0x0112] == 3
            assert made.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("name", ["v.gif", "v.apng", "v.webp"])
def test_an_animation_keeps_its_pictures_times_and_repeats(tmp_path: Path, name: str) -> None:
    source, target = tmp_path / name, tmp_path / "out" / name
    times_ms = [40, 100, 70, 40, 300]
    still, *others = [waves(n) for n in range(len(times_ms))]
    save: dict[str, Any] = {"format": "PNG"} if name == "v.apng" else {"lossless": True}
    still.save(source, save_all=True, append_images=others, duration=times_ms, loop=3, **save)

    run(source, target)

    before, after = shown(source), shown(target)
    assert after[2] == before[2]
    assert len(after[0]) == len(times_ms)
    assert after[1] == before[1] == times_ms
    change = np.abs(np.stack(before[0]) - np.stack(after[0]))
    # A GIF's pictures have 256 colours, chosen anew.
    assert change.max() <= (24 if name == "v.gif" else 0)
    assert np.mean(change) < 1


@pytest.mark.parametrize(("name", "shown_once"), [("o.gif", None), ("o.apng", 1), ("o.webp", 1)])
def test_an_animation_that_is_shown_once_stays_so(
    tmp_path: Path, name: str, shown_once: int | None
) -> None:
    still, *others = [waves(n) for n in range(3)]
    times_ms = [40, 700, 90]
    still.save(tmp_path / "in.gif", save_all=True, append_images=others, duration=times_ms)
    assert shown(tmp_path / "in.gif")[2] is None
    run(tmp_path / "in.gif", tmp_path / name)
    assert shown(tmp_path / name)[1:] == (times_ms, shown_once)


def save_numbered(folder: Path, numbers: Sequence[int]) -> str:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        waves(number).save(folder / f"f_{number:03d}.png", exif=exif(f"camera {number}"))
    return str(folder / "f_%03d.png")


def test_numbered_pictures_keep_their_numbers_and_facts(tmp_path: Path) -> None:
    source = save_numbered(tmp_path / "in", range(8, 15))
    report = run(source, tmp_path / "out" / "g_%03d.png", "decode.rate=10", from_s=0.2)

    assert report.frames == 5
    made = sorted((tmp_path / "out").glob("g_*.png"))
    assert [path.name for path in made] == [f"g_{n:03d}.png" for n in range(10, 15)]
    for number, path in enumerate(made, 10):
        assert np.array_equal(pixels(path), pixels(tmp_path / "in" / f"f_{number:03d}.png"))
        with Image.open(path) as image:
            assert image.getexif()[0x010F] == f"camera {number}"
    with pytest.raises(OutputError, match="exists already"):
        run(source, tmp_path / "out" / "g_%03d.png")


def test_numbered_pictures_become_a_video_and_a_video_numbered_pictures(tmp_path: Path) -> None:
    source = save_numbered(tmp_path / "in", range(1, 7))
    film = tmp_path / "film.mp4"
    run(source, film, "decode.rate=12.5")
    assert [round(1000 * (p.time or 0)) for p in decode_all(film)] == [0, 80, 160, 240, 320, 400]

    video = make_video(tmp_path / "v.mp4", Video(frames=5, audio=(AudioTrack(),)))
    report = run(video, tmp_path / "out" / "p_%d.jpg", scale=2)
    assert {path.name for path in (tmp_path / "out").glob("p_*.jpg")} == {
        f"p_{n}.jpg" for n in range(1, 6)
    }
    assert any("audio stream 1 (aac): it is left out" in note for note in report.notes)
    before = decode_all(video)[4].reformat(128, 96, "rgb24").to_ndarray().astype(int)
    assert np.mean(np.abs(before - pixels(tmp_path / "out" / "p_5.jpg"))) < 3


def test_a_folder_of_films_and_photographs_of_one_name(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_video(folder / "a.mp4")
    waves().save(folder / "a.jpg")
    (folder / "notes.txt").write_text("not a picture")
    report = pipeline.enhance(folder, tmp_path / "out", runner="local", settings=OFF)
    assert sorted(Path(str(v.output)).name for v in report.videos) == ["a.jpg", "a.mp4"]
    assert not report.failed
    again = pipeline.enhance(folder, tmp_path / "out", runner="local", settings=OFF)
    assert [v.output for v in again.videos] == [v.output for v in report.videos]


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("out.png", (), r"one picture cannot hold a video; choose numbered files, such as .*%05d"),
        ("o_%d.gif", (), r"numbered pictures end in \.jpeg, \.jpg, \.png, \.webp"),
        ("o_%d.tiff", (), r"numbered pictures end in \.jpeg, \.jpg, \.png, \.webp"),
        ("out.gif", ("encode.codec=x264",), r"encode\.codec is x264, but the output is pictures"),
        ("out.mkv", ("decode.rate=5",), r"decode\.rate is 5, but .* has times of its own"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(
    tmp_path: Path, target: str, settings: tuple[str, ...], message: str
) -> None:
    source = make_video(tmp_path / "v.mp4")
    with pytest.raises((OutputError, ValueError), match=message):
        run(source, tmp_path / "out" / target, *settings)
    assert not list((tmp_path / "out").glob("*"))


def test_a_missing_number_is_named(tmp_path: Path) -> None:
    source = save_numbered(tmp_path, (1, 2, 4))
    with pytest.raises(MediaError, match=r"number 3 is missing, the files go from 1 to 4"):
        run(source, tmp_path / "out" / "g_%03d.png")


def test_a_jpeg_for_print_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    waves().convert("CMYK").save(source)
    with pytest.raises(MediaError, match=r"is in CMYK, for print.*; convert it to RGB"):
        run(source, tmp_path / "out.jpg")
