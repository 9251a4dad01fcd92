"""Writing pictures: what needs the source's file is left out, and said, if there is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodes.encode.encoders import EncodeConfig
from pipeline.errors import OutputError
from pipeline.pictures.outputs import OutputKind, check_pictures, output_kind_of, write_pictures
from tests.support.faces import scene
from tests.support.media import Video, make_video
from tests.support.video_nodes import decode, encode


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Be silent."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL where it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(_Silent, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize(
    ("name", "form"), [("a.tif", "TIFF"), ("a.bmp", "BMP"), ("a.jpg", "JPEG"), ("snapshot", "JPEG")]
)
def test_a_picture_from_a_url_is_written(
    tmp_path: Path, served: tuple[Path, str], name: str, form: str
) -> None:
    folder, address = served
    samples = np.full((48, 64, 3), (90, 120, 150), np.uint8)
    Image.fromarray(samples).save(folder / name, form)
    source, target = f"{address}/{name}", tmp_path / "out.png"
    info, frames, _ = decode(source)
    made, _ = encode(info, frames, tmp_path / "work", EncodeConfig(codec="ffv1"))

    notes = check_pictures("photo", source, target, EncodeConfig(), (64, 48))
    write_pictures("photo", [made], source, target, info, last_duration_ticks=1, quality=90)

    assert len(notes) == 1
    assert "left out: EXIF, colour profile and other metadata" in notes[0]
    with Image.open(target) as image:
        assert np.abs(np.asarray(image).astype(int) - samples).max() <= 2


def test_a_png_from_a_url_becomes_an_animation_only_if_it_is_one(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    folder, address = served
    still, other = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    still.save(folder / "still.png")
    still.save(folder / "moving.png", save_all=True, append_images=[other], duration=40)
    target = tmp_path / "out.png"
    assert output_kind_of(target, f"{address}/still.png") == "photo"
    assert output_kind_of(target, f"{address}/moving.png") == "animation"
    (note,) = check_pictures("animation", f"{address}/moving.png", target, EncodeConfig(), (64, 48))
    assert note.startswith("left out: EXIF, colour profile and other metadata")
    assert "and how often it repeats" in note


@pytest.mark.parametrize("query", ["", "?token=1"])
def test_that_an_animation_from_a_url_repeats_for_ever_is_told(
    tmp_path: Path, served: tuple[Path, str], query: str
) -> None:
    folder, address = served
    still, other = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    still.save(folder / "a.gif", save_all=True, append_images=[other], duration=40, loop=3)
    source = f"{address}/a.gif{query}"
    (note,) = check_pictures("animation", source, tmp_path / "o.gif", EncodeConfig(), (64, 48))
    assert "and how often it repeats" in note
    (note, _) = check_pictures("numbered", source, tmp_path / "%d.png", EncodeConfig(), (64, 48))
    assert "repeats" not in note


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("f.png", ["f.png becomes one animation of all pictures; for a file of each, give"]),
        ("f.webp", ["f.webp becomes one animation of all pictures; for a file of each, give"]),
        # Nothing else can be meant by these.
        ("f.apng", []),
        ("f.gif", []),
        ("f_%04d.png", []),
    ],
)
def test_one_file_for_numbered_pictures_is_told_to_be_an_animation(
    tmp_path: Path, name: str, notes: list[str]
) -> None:
    for number in range(2):
        scene(64, 48).save(tmp_path / f"p_{number:04d}.png")
    source, target = str(tmp_path / "p_%04d.png"), tmp_path / name
    kind = output_kind_of(target, source)
    assert kind is not None
    said = check_pictures(kind, source, target, EncodeConfig(), (64, 48))
    expected = [f"{note} {target.stem}_%05d{target.suffix}" for note in notes]
    assert said == expected


def test_a_video_is_no_single_picture(tmp_path: Path) -> None:
    source = str(make_video(tmp_path / "v.mp4", Video(frames=2, width_px=64, height_px=48)))
    with pytest.raises(OutputError, match=r"choose numbered files, such as .*/f_%05d\.png, an"):
        check_pictures("photo", source, tmp_path / "f.png", EncodeConfig(), (64, 48))


@pytest.mark.parametrize(
    ("kind", "source", "name", "loses"),
    [
        ("photo", "JPEG", "a.jpg", True),
        ("photo", "PNG", "a.jpeg", True),
        ("photo", "JPEG", "a.png", False),
        ("photo", "JPEG", "a.webp", False),
        ("photo", "WEBP", "a.webp", True),
        ("numbered", "PNG", "a_%03d.jpg", True),
        ("numbered", "PNG", "a_%03d.png", False),
        ("animation", "PNG", "a.gif", True),
        ("animation", "PNG", "a.apng", False),
        ("animation", "PNG", "a.webp", False),
    ],
)
def test_what_is_asked_for_without_loss_is_not_written_with_it(
    tmp_path: Path, kind: OutputKind, source: str, name: str, loses: bool
) -> None:
    given = tmp_path / "given"
    scene(64, 48).save(given, source)
    config, target = EncodeConfig(lossless=True), tmp_path / name
    if loses:
        with pytest.raises(OutputError, match="would not be lossless"):
            check_pictures(kind, str(given), target, config, (64, 48))
    else:
        check_pictures(kind, str(given), target, config, (64, 48))
    check_pictures(kind, str(given), target, EncodeConfig(), (64, 48))
