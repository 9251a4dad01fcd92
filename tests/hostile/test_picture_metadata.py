"""Pictures that are sound but for their metadata: they are restored, and what is lost is told."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import av
import pytest
from PIL import Image

from nodes.media.open import open_media
from nodes.picture.png_chunks import png_chunks, png_metadata, read_png_metadata, sound_png
from pipeline.config import RunConfig, RunOptions
from pipeline.errors import OutputError
from pipeline.job.job import run_job
from pipeline.job.monitors import SilentMonitor
from pipeline.job.report import VideoReport
from tests.support import ROOT
from tests.support.exif import HEADER, noise_jpeg
from tests.support.png import exif_chunk, icc_chunk, png_chunk, write_png

GRAPH = """
name: copy
nodes:
  decode: {type: aminet.decode}
  encode: {type: aminet.encode, inputs: {frames: decode.frames}}
"""

LOOP = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
DAMAGED = {
    "exif-garbage": png_chunk(b"eXIf", b"garbage" * 10),
    "exif-empty": png_chunk(b"eXIf", b""),
    "exif-loop": png_chunk(b"eXIf", LOOP),
    "exif-outside": png_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xf0"),
    "exif-cut": png_chunk(b"eXIf", b"MM\0*" + struct.pack(">IH", 8, 60) + b"\1\x12"),
    "exif-checksum": exif_chunk()[:-4] + b"abcd",
    "exif-twice": exif_chunk() * 2,
    "profile-not-packed": png_chunk(b"iCCP", b"x\0\0no zlib"),
    "profile-method": png_chunk(b"iCCP", b"x\0\x09" + zlib.compress(bytes(200))),
    "profile-empty": png_chunk(b"iCCP", b""),
    "profile-huge": png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(40_000_000))),
    "profile-twice": icc_chunk() * 3,
    "text-huge": png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(40_000_000))),
    "text-bomb": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(40_000_000))),
    "texts-many": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20))) * 20,
    "text-cut": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"said" * 99)[:9]),
}


def run(source: Path, target: Path, threads: int = 1) -> list[VideoReport]:
    graph = source.parent / "copy.yaml"
    graph.write_text(GRAPH)
    options = RunOptions(runner="local", threads=threads, page=False)
    report = run_job(
        [str(source)],
        str(target),
        config=RunConfig(graph=str(graph), run=options),
        overwrite=False,
        resume=True,
        monitor=SilentMonitor(),
    )
    return list(report.videos)


def test_damaged_metadata_of_a_png_is_left_out_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, chunks in DAMAGED.items():
        write_png(folder / f"{name}.png", chunks)
    videos = run(folder, tmp_path / "out")
    assert len(videos) == len(DAMAGED)
    for video in videos:
        assert video.status == "done", video.error
        assert "left out of 1 picture: " in "".join(video.notes), video.source
        made = tmp_path / "out" / Path(video.source).name
        with Image.open(made) as image:
            image.load()
        with av.open(str(made)) as container:
            assert len(list(container.decode(video=0))) == 1
        assert sound_png(made.read_bytes()) == made.read_bytes()


@pytest.mark.parametrize("name", ["exif-checksum", "profile-huge", "profile-empty", "text-huge"])
@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_so_it_is_where_the_output_has_another_format(
    name: str, suffix: str, tmp_path: Path
) -> None:
    source = write_png(tmp_path / "a.png", exif_chunk() * ("exif" not in name) + DAMAGED[name])
    (video,) = run(source, tmp_path / f"b{suffix}")
    assert "left out of 1 picture: " in "".join(video.notes)
    with Image.open(tmp_path / f"b{suffix}") as image:
        image.load()
        assert (image.getexif().get(0x0112) == 6) == ("exif" not in name)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"eXIf", b"II*\0" + struct.pack("<I", 8) + bytes(70_000)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x>" + b"x" * 70_000),
    ],
    ids=["exif", "xmp"],
)
def test_metadata_too_long_for_the_output_is_left_out_and_told(
    chunk: bytes, tmp_path: Path
) -> None:
    (video,) = run(write_png(tmp_path / "a.png", chunk), tmp_path / "b.jpg")
    assert "too long for JPEG" in "".join(video.notes)


def test_damaged_exif_of_a_jpeg_makes_no_png_that_cannot_be_read(tmp_path: Path) -> None:
    jpeg = noise_jpeg(1)
    exif = HEADER + b"garbage" * 9
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    (video,) = run(tmp_path / "a.jpg", tmp_path / "b.png")
    assert "EXIF (damaged" in "".join(video.notes)
    with open_media(str(tmp_path / "b.png")) as container:
        assert len(list(container.decode(video=0))) == 1


@pytest.mark.parametrize("chunk", [DAMAGED["exif-garbage"], DAMAGED["profile-method"]])
def test_numbered_and_animated_pictures_are_read_too(chunk: bytes, tmp_path: Path) -> None:
    for number in range(1, 9):
        write_png(tmp_path / f"p{number}.png", *[chunk] * (number in (3, 4, 6)))
    write_png(tmp_path / "a.png", chunk, pictures=3)
    # libav decodes several at the same time.
    assert run(tmp_path / "p%d.png", tmp_path / "n.mkv", threads=2)[0].frames == 8
    assert run(tmp_path / "a.png", tmp_path / "a.mkv")[0].frames == 3


def test_sound_metadata_is_not_touched(tmp_path: Path) -> None:
    chunks = exif_chunk() + icc_chunk() + png_chunk(b"tEXt", b"Title\0a") * 2
    content = write_png(tmp_path / "a.png", chunks).read_bytes()
    assert sound_png(content) is content
    (video,) = run(tmp_path / "a.png", tmp_path / "b.png")
    assert "left out of" not in "".join(video.notes)
    made = {chunk for _, chunk in png_chunks((tmp_path / "b.png").read_bytes())}
    assert {chunk for kind, chunk in png_chunks(content) if kind in b"eXIf iCCP tEXt"} <= made


def test_what_lies_between_the_metadata_is_not_read(tmp_path: Path) -> None:
    content = write_png(tmp_path / "a.png", icc_chunk() + exif_chunk()).read_bytes()
    for whole in (
        content,
        content[:-3],
        content[:40],
        content[:8],
        content[:3],
        content + b"behind",
    ):
        told = read_png_metadata(io.BytesIO(whole))
        assert told == (png_metadata(whole) if whole[:8] == content[:8] else None)
    lie = content[:33] + struct.pack(">I4s", 0xFFFF_FFFF, b"IDAT") + content[33:]
    assert read_png_metadata(io.BytesIO(lie)) == []


def test_what_follows_the_pixels_stays(tmp_path: Path) -> None:
    content = write_png(tmp_path / "a.png", DAMAGED["exif-empty"]).read_bytes() + b"behind"
    assert sound_png(content) == write_png(tmp_path / "b.png").read_bytes() + b"behind"
    assert sound_png(content[:50]) == content[:33] + content[45:50]


def test_a_jpeg_that_is_cut_off_is_told(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(content, "JPEG")
    whole = content.getvalue()
    behind = b"\xff\xd8 a telephone's video \xff\xda"
    for name, data in (("cut", whole[: len(whole) // 2]), ("whole", whole + behind)):
        (tmp_path / f"{name}.jpg").write_bytes(data)
        (video,) = run(tmp_path / f"{name}.jpg", tmp_path / f"{name}.png")
        assert ("picture cut off" in "".join(video.notes)) == (name == "cut")


@pytest.mark.parametrize("name", [b"xmp", b"dpi", b"exif", b"icc_profile", b"quality"])
@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_texts_with_names_of_other_metadata_are_not_taken_for_it(
    name: bytes, suffix: str, tmp_path: Path
) -> None:
    write_png(tmp_path / "a.png", png_chunk(b"tEXt", name + b"\0hello"))
    run(tmp_path / "a.png", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as made:
        made.load()


def test_further_pages_and_pictures_of_a_file_are_told(tmp_path: Path) -> None:
    page = Image.new("RGB", (64, 48))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page, page])
    (video,) = run(tmp_path / "a.tif", tmp_path / "a.png")
    assert "decode: left out: 2 further pages" in video.notes
    page.save(tmp_path / "b.jpg", format="MPO", save_all=True, append_images=[page.copy()])
    (video,) = run(tmp_path / "b.jpg", tmp_path / "out.jpg")
    assert "decode: left out: 1 further picture" in video.notes


def test_a_picture_too_wide_for_its_format_is_refused_before_the_work(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", width_px=16_384, height_px=2)
    with pytest.raises(OutputError, match="16383"):
        run(tmp_path / "a.png", tmp_path / "a.webp")
    assert not (tmp_path / "a.webp").exists()
    write_png(tmp_path / "b.png", width_px=65_535, height_px=2)
    with pytest.raises(OutputError, match="at most 65534 in a row"):
        run(tmp_path / "b.png", tmp_path / "out.png")


CLOSE = """
import sys
from nodes.media.reader import PictureReader
for _ in range(20):
    reader = PictureReader(sys.argv[1], 4)
    next(reader.pictures())
    reader.close()
    del reader
"""


def test_a_reader_can_be_closed_while_threads_decode(tmp_path: Path) -> None:
    for number in range(12):
        write_png(tmp_path / f"p{number}.png", DAMAGED["exif-garbage"])
    # In a process of its own: threads that wait for each other cannot be interrupted.
    words = [sys.executable, "-c", CLOSE, str(tmp_path / "p%d.png")]
    subprocess.run(words, cwd=ROOT, check=True, timeout=60)
