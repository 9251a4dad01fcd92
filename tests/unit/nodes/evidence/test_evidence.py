"""The digests and changes of every frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import pytest

from nodes.errors import MediaError
from nodes.evidence import Evidence, EvidenceConfig
from nodes.evidence.rows import ROWS_NAME, FrameRow, merge_rows, read_rows, row_text
from nodes.join import SegmentPart
from nodes.node import Inputs
from nodes.picture.digest import picture_sha256
from nodes.types import FaceChange, Frame, FrameChanges
from tests.support.faces import codes_of, info_of, planes_of, segment_in, waves

CHANGE = FaceChange(2, (8, 8, 40, 40), 0.85, 300, 12, 2.5, 41.0)
FORMATS = ["yuv420p", "yuv422p10le", "yuv444p", "nv12", "p010le", "gray", "yuv411p"]


def frame_at(pts: int, picture: av.VideoFrame) -> Frame:
    return Frame(pts, pts, 1, picture)


def rows_of(folder: Path, *packets: tuple[Frame, Frame, FrameChanges]) -> list[FrameRow]:
    node = Evidence(EvidenceConfig())
    info = info_of(packets[0][0])
    node.open(segment_in(folder), {"source": info, "written": info, "changes": info})
    for source, written, changes in packets:
        node.process(Inputs({"source": source, "written": written, "changes": changes}))
    node.finish()
    node.close()
    return list(read_rows(folder / ROWS_NAME))


@pytest.mark.parametrize("size", [(96, 64), (98, 62), (95, 63)])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_the_digest_is_libavs_own(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    """Anybody can make it with FFmpeg's `framehash`, whose muxer this is."""
    picture = waves(*size, pix_fmt)
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    listing = tmp_path / "hashes.txt"
    with av.open(listing, "w", format="framehash", options={"hash": "sha256"}) as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    last = listing.read_text().splitlines()[-1]
    assert picture_sha256(picture) == last.rpartition(",")[2].strip()


def test_it_does_not_depend_on_the_padding_of_lines() -> None:
    picture = waves(798, 500, "yuv420p")  # more than is read at once
    digest = sha256(b"".join(plane.tobytes() for plane in codes_of(picture))).hexdigest()
    assert picture_sha256(picture) == digest
    planes_of(picture)[2][30, 40] ^= 1
    assert picture_sha256(picture) != digest


def test_a_row_says_what_went_in_what_came_out_and_what_changed(tmp_path: Path) -> None:
    before, after = waves(64, 48, "yuv420p"), waves(64, 48, "yuv420p", seed=1)
    (row,) = rows_of(
        tmp_path, (frame_at(7, before), frame_at(7, after), FrameChanges(7, (CHANGE,)))
    )
    assert row == {
        "pts": 7,
        "source": picture_sha256(before),
        "written": picture_sha256(after),
        "faces": [
            {
                "track_id": 2,
                "region_xyxy_px": (8, 8, 40, 40),
                "strength": 0.85,
                "area_px": 300,
                "largest": 12,
                "mean": 2.5,
                "consistency_db": 41.0,
            }
        ],
    }


def test_a_frame_that_stays_as_it_is_has_one_digest(tmp_path: Path) -> None:
    same = frame_at(3, waves(64, 48, "gray"))
    twin = replace(same, pts=4, picture=waves(64, 48, "gray"))
    rows = rows_of(
        tmp_path,
        (same, same, FrameChanges(3)),
        (replace(same, pts=4), twin, FrameChanges(4)),
    )
    assert [(row["pts"], row["written"], row["faces"]) for row in rows] == [
        (3, None, []),
        (4, None, []),
    ]


def test_unfinished_rows_are_removed(tmp_path: Path) -> None:
    node = Evidence(EvidenceConfig())
    info = info_of(frame_at(0, waves(64, 48, "gray")))
    node.open(segment_in(tmp_path), {"source": info, "written": info, "changes": info})
    node.close()
    assert not list(tmp_path.iterdir())


def test_segments_become_one_file_with_common_numbers(tmp_path: Path) -> None:
    parts: list[SegmentPart] = []
    for name, numbers, pts in (("a", {2: 1}, 0), ("b", {2: 4}, 9)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / ROWS_NAME).write_text(
            row_text("aa", "bb", FrameChanges(pts, (CHANGE,))), encoding="utf-8"
        )
        parts.append(SegmentPart(folder, 1, numbers, {}))
    assert merge_rows(parts, tmp_path / "all") == 2
    merged = list(read_rows(tmp_path / "all"))
    assert [(row["pts"], row["faces"][0]["track_id"]) for row in merged] == [(0, 1), (9, 4)]


@pytest.mark.parametrize(
    "line", ["", "{}", "[1]", '{"pts":0,"source":"a","written":null}', "\udcff", '{"pts":0']
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    rows = tmp_path / "rows"
    content = row_text("aa", "aa", FrameChanges(0)) + line + "\n"
    rows.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(MediaError, match="line 2 is not a frame's row"):
        list(read_rows(rows))
