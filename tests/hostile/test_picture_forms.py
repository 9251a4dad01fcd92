"""Pictures of all kinds of pixels: what is converted or left out is told, and nothing else is."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

from nodes.errors import MediaError
from nodes.media.hdr import read_hdr_facts
from pipeline.errors import OutputError
from pipeline.job.report import VideoReport
from tests.hostile.test_picture_metadata import run
from tests.support.media import Video, make_video
from tests.support.png import png_chunk, write_png

HDR = (
    png_chunk(b"cICP", bytes((9, 16, 0, 1)))
    + png_chunk(
        b"mDCV",
        struct.pack(">8H2I", 35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450, 10_000_000, 50),
    )
    + png_chunk(b"cLLI", struct.pack(">2I", 10_000_000, 4_000_000))
)


def ramp(mode: str) -> Image.Image:
    """Return a small picture in one of Pillow's modes."""
    colors = np.indices((48, 64)).sum(0).astype(np.uint8)
    image = Image.fromarray(np.stack([colors, colors // 2, 255 - colors], -1))
    if mode == "I;16":
        return Image.fromarray(colors.astype(np.uint16) * 500)
    if mode in ("RGBA", "LA", "PA"):
        image.putalpha(Image.fromarray(colors * 2))
    return image.quantize(64) if mode == "P" else image.convert(mode)


def told(video: VideoReport) -> str:
    assert video.status == "done", video.error
    return "; ".join(video.notes)


def test_only_what_becomes_other_pixels_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    same = {"L": "png", "RGB": "png", "RGBA": "png", "I;16": "png"}
    changed = {
        "1": "1-bit grey written as 8-bit grey",
        "P": "a palette written as 8-bit colour",
        "LA": "8-bit grey with transparency written as 8-bit colour with transparency",
    }
    for number, mode in enumerate((*same, *changed)):
        ramp(mode).save(folder / f"{number}.png")
    ramp("RGB").save(folder / "same.jpg")
    ramp("RGB").save(folder / "same.gif")
    videos = {Path(video.source).stem: video for video in run(folder, tmp_path / "out")}
    for number, _ in enumerate(same):
        assert told(videos[str(number)]) == ""
    assert told(videos["same"]) == ""
    for number, words in enumerate(changed.values(), len(same)):
        assert told(videos[str(number)]) == f"{words} in 1 picture"


@pytest.mark.parametrize(
    ("mode", "suffix", "words"),
    [
        ("I;16", ".jpg", "16-bit grey written as 8-bit grey in 1 picture"),
        ("RGBA", ".jpg", "8-bit colour with transparency written as 8-bit colour in 1 picture"),
        ("L", ".webp", "8-bit grey written as 8-bit colour in 1 picture"),
        ("RGBA", ".gif", "8-bit colour with transparency written as a palette with transparency"),
    ],
)
def test_so_it_is_where_the_file_gets_another_format(
    mode: str, suffix: str, words: str, tmp_path: Path
) -> None:
    ramp(mode).save(tmp_path / "a.png")
    (video,) = run(tmp_path / "a.png", tmp_path / f"out{suffix}")
    assert words in told(video)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "PA"])
def test_colours_that_would_be_read_as_others_are_refused(mode: str, tmp_path: Path) -> None:
    image = Image.new("LAB", (64, 48)) if mode == "LAB" else ramp(mode)
    image.save(tmp_path / "a.tif")
    for target in ("out.png", "out.mp4"):
        with pytest.raises(MediaError, match=r"a.tif: is in .*; convert it to RGB first"):
            run(tmp_path / "a.tif", tmp_path / target)


def test_a_tiff_keeps_how_it_is_turned(tmp_path: Path) -> None:
    image = ramp("RGB")
    exif = image.getexif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    image.save(tmp_path / "a.tif", exif=exif, compression="tiff_lzw")
    for suffix in (".png", ".jpg"):
        (video,) = run(tmp_path / "a.tif", tmp_path / f"out{suffix}")
        assert told(video) == ""
        with Image.open(tmp_path / f"out{suffix}") as made:
            assert dict(made.getexif()) == {0x0112: 6, 0x010F: "A camera"}


def test_hdr_is_kept_by_png_and_told_of_others(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", HDR)
    (video,) = run(tmp_path / "a.png", tmp_path / "out.png")
    assert told(video) == ""
    for name in ("out.jpg", "out.gif"):
        (video,) = run(tmp_path / "a.png", tmp_path / name)
        assert "left out: that colours are HDR" in told(video)
        assert "left out: the HDR10 mastering display and light levels" in told(video)


def test_pictures_of_an_hdr_film_say_what_it_says(hdr_film: Path, tmp_path: Path) -> None:
    (video,) = run(hdr_film, tmp_path / "p%d.png")
    assert "HDR" not in told(video)
    with av.open(str(hdr_film)) as film, av.open(str(tmp_path / "p1.png")) as made:
        before, after = (next(container.decode(video=0)) for container in (film, made))
        assert (after.color_primaries, after.color_trc) == (9, 16)
        assert read_hdr_facts(after) == read_hdr_facts(before) is not None
    (video,) = run(hdr_film, tmp_path / "p%d.jpg")
    assert "left out: that colours are HDR" in told(video)
    assert "10-bit colour written as 8-bit colour in 2 pictures" in told(video)


@pytest.fixture
def hdr_film(tmp_path: Path) -> Path:
    said = (
        "log-level=none:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400"
        ":master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)"
    )
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": said})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        for number in range(2):
            picture = av.VideoFrame(64, 48, "yuv420p10le")
            for plane in picture.planes:
                plane.update(b"\0\2" * (plane.buffer_size // 2))
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def test_texts_that_have_no_place_are_told(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", png_chunk(b"tEXt", b"Comment\0said"))
    (video,) = run(tmp_path / "a.png", tmp_path / "out.jpg")
    assert "texts (JPEG has no place for it)" in told(video)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp"])
def test_a_film_that_is_named_like_a_picture_becomes_an_animation(
    suffix: str, tmp_path: Path
) -> None:
    film = make_video(tmp_path / "film.mp4", Video(frames=3)).rename(tmp_path / f"film{suffix}")
    (video,) = run(film, tmp_path / f"out{suffix}")
    assert (video.status, video.frames) == ("done", 3)


def test_numbered_pictures_may_each_be_of_another_kind(tmp_path: Path) -> None:
    for number, mode in enumerate(("RGB", "L", "RGBA")):
        ramp(mode).save(tmp_path / f"a{number}.png")
    (video,) = run(tmp_path / "a%d.png", tmp_path / "b%d.png")
    assert told(video).count("grey") == 1
    assert "8-bit grey written as 8-bit colour in 1 picture" in told(video)
    with Image.open(tmp_path / "a2.png") as before, Image.open(tmp_path / "b2.png") as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
def test_what_is_no_file_among_numbered_ones_is_missing(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    for number in (0, 2):
        ramp("RGB").save(tmp_path / f"a{number}.png")
    make(tmp_path / "a1.png")
    with pytest.raises(MediaError, match="number 1 is missing"):
        run(tmp_path / "a%d.png", tmp_path / "b%d.png")


def test_a_number_of_more_digits_than_a_name_has_is_none(tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mkv", Video(frames=2))
    with pytest.raises(OutputError, match="one picture cannot hold a video"):
        run(film, tmp_path / "a%0999999999d.png")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.mp4"])
def test_a_still_in_heif_is_refused_as_one(name: str, tmp_path: Path) -> None:
    ramp("RGB").save(tmp_path / "in.avif")
    with pytest.raises(MediaError, match=r"a still picture in HEIF .*convert it"):
        run(tmp_path / "in.avif", tmp_path / name)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_an_animation_in_heif_is_a_video(tmp_path: Path) -> None:
    others = [ramp("RGB").rotate(180), ramp("RGB")]
    ramp("RGB").save(tmp_path / "in.avif", save_all=True, append_images=others, duration=40)
    (video,) = run(tmp_path / "in.avif", tmp_path / "out.apng")
    assert video.frames == 3
