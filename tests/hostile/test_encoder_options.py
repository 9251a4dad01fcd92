"""Options of encoders that write or read files: a configuration sets none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.encode import Encode, EncodeConfig
from nodes.encode.allowed_options import check_options
from nodes.errors import NodeConfigError
from nodes.node import Segment
from tests.support.toy_nodes import INFO


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x264-params", "dump-yuv={}"),
        ("x264-params", "keyint=9:dump_yuv={}"),
        ("x264-params", "stats={}:pass=1"),
        ("x264-params", "qpfile={}"),
        ("x264-params", "cqmfile={}"),
        ("x264opts", "DUMP-YUV={}"),
        ("x265-params", "csv={}"),
        ("x265-params", "recon={}"),
        ("x265-params", "analysis-save={}"),
        ("x265-params", "bframes=1:scaling-list={}"),
        ("svtav1-params", "stats={}"),
        ("svtav1-params", "fgs-table={}"),
        ("aom-params", "film-grain-table={}"),
        ("rav1e-params", "x={}"),
        ("stats", "{}"),
        ("passlogfile", "{}"),
        ("vstats_file", "{}"),
        ("statsfile", "{}"),
        ("flags", "+pass1"),
        ("X264-params", "keyint=9"),
    ],
)
def test_no_option_that_names_a_file_is_taken(tmp_path: Path, name: str, value: str) -> None:
    written = tmp_path / "written"
    config = EncodeConfig(codec="x264", options={name: value.format(written)})
    node = Encode(config)
    with pytest.raises(NodeConfigError, match="may not be set here"):
        node.open(Segment("v.mkv", tmp_path, 1), {"frames": INFO})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"qp": "0", "bf": "3", "slices": "4", "tune": "film"},
        {"x264-params": "keyint=9:no-mbtree:open_gop=1"},
        {"x265-params": "lossless=1"},
        {"svtav1-params": "film-grain=8:tune=0"},
    ],
)
def test_what_says_how_a_video_looks_is(options: dict[str, str]) -> None:
    check_options(options)
