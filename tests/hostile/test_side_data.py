"""Pictures whose side data crashed PyAV: each is read in a process of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.png import exif_chunk, icc_chunk, write_png

READ = """
import sys, gc, av
from nodes.media.open import describe_video, open_media
from nodes.media.side_data import display_matrix
container = open_media(sys.argv[1])
stream = container.streams.video[0]
pictures = list(container.decode(stream))
for picture in pictures:
    describe_video(container, stream, picture)
    matrix = display_matrix(picture)
print(len(pictures), matrix)
del picture, pictures
gc.collect()
"""

QUARTER_TURN = "(0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)"


def read(path: Path) -> str:
    """Return how many pictures there are and the last one's display matrix."""
    done = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("chunks", "pictures", "matrix"),
    [
        pytest.param(icc_chunk(), 1, "None", id="profile"),
        pytest.param(icc_chunk(b"x" * 79), 1, "None", id="longest-name"),
        pytest.param(icc_chunk() + exif_chunk(), 1, QUARTER_TURN, id="profile-then-exif"),
        pytest.param(exif_chunk() + icc_chunk(), 1, QUARTER_TURN, id="exif-then-profile"),
        pytest.param(exif_chunk(), 1, QUARTER_TURN, id="exif"),
        pytest.param(icc_chunk(), 3, "None", id="animated-profile"),
    ],
)
def test_a_picture_with_a_profile_is_read(
    tmp_path: Path, chunks: bytes, pictures: int, matrix: str
) -> None:
    path = write_png(tmp_path / "a.png", chunks, pictures=pictures)
    assert read(path) == f"{pictures} {matrix}"


def test_the_crash_is_pyavs_own(tmp_path: Path) -> None:
    """If this fails, PyAV was mended: `nodes.media.side_data` may read pictures as they come."""
    path = write_png(tmp_path / "a.png", icc_chunk())
    code = "import av, sys; next(av.open(sys.argv[1]).decode(video=0)).side_data"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False)
    assert done.returncode < 0


@pytest.mark.parametrize("part", ["aminet", "nodes", "pipeline"])
def test_nothing_else_reads_side_data(part: str) -> None:
    """PyAV's reading of a decoded picture's side data stays behind the one safe place."""
    for file in (ROOT / part).rglob("*.py"):
        if file == ROOT / "nodes" / "media" / "side_data.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            assert not (isinstance(node, ast.ImportFrom) and module.startswith("av.sidedata")), file
            assert not (isinstance(node, ast.Attribute) and node.attr == "side_data"), file
