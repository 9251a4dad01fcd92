"""Numbered pictures are found beside whatever else a folder holds."""

from __future__ import annotations

import os
from pathlib import Path

from nodes.media.picture_files import numbered


def test_links_in_a_circle_are_no_pictures(tmp_path: Path) -> None:
    first = tmp_path / "f_1.png"
    first.write_bytes(b"picture")
    (tmp_path / "f_2.png").mkdir()
    os.mkfifo(tmp_path / "f_3.png")
    for name in ("other", "f_4.png"):
        (tmp_path / name).symlink_to(name)
    (tmp_path / "f_5.png").symlink_to(first)
    assert numbered(tmp_path / "f_%d.png") == {1: first, 5: tmp_path / "f_5.png"}
