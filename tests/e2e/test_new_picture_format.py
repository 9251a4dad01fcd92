"""A new format of picture files is one row of its table: nothing else knows its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.reformatter import Interpolation
from PIL import Image
from upath import UPath

import pipeline
from nodes.media.picture_formats import PICTURE_FORMATS, AnimationFormat, PhotoFormat, PictureFormat
from nodes.picture.view import PictureView
from pipeline.containers.probe import is_media
from pipeline.errors import OutputError
from pipeline.job.files import beside
from tests.e2e.test_pictures import pixels, run, waves
from tests.support.media import Video, decode_all, make_video

# MediaPipe and Ray warn of their own dependencies.
pytestmark = pytest.mark.filterwarnings("default")

ROWS = {
    ".bmp": PictureFormat(PhotoFormat("BMP", takes={"dpi": None})),
    ".tif": PictureFormat(
        PhotoFormat("TIFF", takes={"icc_profile": None}, options={"compression": "tiff_lzw"})
    ),
    ".j2k": PictureFormat(PhotoFormat("JPEG2000", takes={"quality": None}, alpha=False)),
    ".avif": PictureFormat(
        animation=AnimationFormat(
            "avif", "libsvtav1", {"crf": "8", "preset": "8"}, pix_fmt="yuv420p"
        )
    ),
}


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVT_LOG", "1")
    for suffix, row in ROWS.items():
        monkeypatch.setitem(PICTURE_FORMATS, suffix, row)


@pytest.mark.parametrize(
    ("suffix", "save"),
    [(".bmp", {"dpi": (300, 300)}), (".tif", {"icc_profile": b"profile"}), (".j2k", {})],
)
@pytest.mark.parametrize("origin", ["same", ".png"])
def test_a_photograph(tmp_path: Path, suffix: str, save: dict[str, Any], origin: str) -> None:
    source = tmp_path / f"in{suffix if origin == 'same' else origin}"
    save = save if origin == "same" else {}
    waves(alpha=origin == ".png" and suffix == ".j2k").save(source, **save)
    target = tmp_path / "out" / f"a{suffix.upper()}"

    report = run(source, target)

    with Image.open(source) as before, Image.open(target) as after:
        row = ROWS[suffix].photo
        assert row is not None
        assert (after.format, after.size, after.mode) == (row.name, before.size, "RGB")
        assert {key: after.info[key] for key in save} == {key: before.info[key] for key in save}
        if suffix == ".tif":
            assert after.info["compression"] == "tiff_lzw"
    assert np.array_equal(pixels(target), pixels(source)[..., :3])
    assert report.mux is not None
    assert report.mux["frames"] == 1


def test_numbered_pictures_and_no_video(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4", Video(frames=3))
    run(video, tmp_path / "out" / "p_%d.bmp")
    made = sorted((tmp_path / "out").glob("p_*.bmp"))
    assert [path.name for path in made] == ["p_1.bmp", "p_2.bmp", "p_3.bmp"]
    # The video does not say where its chroma lies: on the left, as players assume.
    view = PictureView(chroma="left")
    # Anything less repeats each sample of the chroma.
    sharp = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
    before = [
        view.of(p).reformat(format="rgb24", interpolation=sharp).to_ndarray().astype(int)
        for p in decode_all(video)
    ]
    for picture, path in zip(before, made, strict=True):
        assert np.mean(np.abs(picture - pixels(path))) < 4
    run(tmp_path / "out" / "p_%d.bmp", tmp_path / "again.mp4")
    assert len(decode_all(tmp_path / "again.mp4")) == 3
    with pytest.raises(OutputError, match=r"an animation \(\.apng, \.avif, \.gif\), or a video"):
        run(video, tmp_path / "out.bmp")
    ends = r"end in \.bmp, \.j2k, \.jpeg, \.jpg, \.png, \.tif, \.webp here"
    with pytest.raises(OutputError, match=ends):
        run(video, tmp_path / "o_%d.avif")


def test_a_folder_has_it_and_what_belongs_to_it_has_its_whole_name(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_video(folder / "a.mp4")
    waves().save(folder / "a.bmp")
    waves().save(folder / "a.dib")
    report = pipeline.enhance(
        folder,
        tmp_path / "out",
        runner="local",
        settings=("enhance.weights=bicubic", "run.threads=1"),
    )
    assert sorted(Path(str(v.output)).name for v in report.videos) == ["a.bmp", "a.mp4"]
    assert beside(UPath("x/a.bmp"), ".faces.png").name == "a.bmp.faces.png"
    assert beside(UPath("x/a.dib"), ".faces.png").name == "a.faces.png"
    recording = make_video(folder / "recording.j2k", Video(format="mpegts"))
    assert not is_media(recording)
    assert is_media(recording.rename(folder / "recording.dav"))


def test_an_animation_keeps_its_times_and_pictures(tmp_path: Path) -> None:
    source = tmp_path / "v.gif"
    still, *others = [waves(n).resize((96, 72)) for n in range(5)]
    still.save(source, save_all=True, append_images=others, duration=[40, 100, 70, 40, 300], loop=3)

    report = run(source, tmp_path / "out" / "v.avif")
    run(tmp_path / "out" / "v.avif", tmp_path / "out" / "v.apng")

    assert report.mux is not None
    assert (report.mux["frames"], report.mux["max_deviation_s"]) == (5, 0)
    before, after = decode_all(source), decode_all(tmp_path / "out" / "v.apng")
    assert [p.time for p in after] == pytest.approx([p.time or 0 for p in before])
    for one, other in zip(before, after, strict=True):
        difference = one.to_ndarray(format="rgb24").astype(int) - other.to_ndarray(format="rgb24")
        assert np.mean(np.abs(difference)) < 3.7  # 4.2 by the encoder's own defaults


def test_a_suffix_without_a_row_is_no_picture(tmp_path: Path) -> None:
    waves().save(tmp_path / "in.png")
    with pytest.raises(OutputError, match=r"\.dib is no format written here"):
        run(tmp_path / "in.png", tmp_path / "out.dib")
