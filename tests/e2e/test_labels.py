"""A result that says in its pictures what was restored, and a video of what was altered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import pipeline
from pipeline.job.report import seal_of
from pipeline.storage.digests import file_sha256
from tests.support import SAMPLES
from tests.support.faces import codes_of
from tests.support.media import decode_all

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(SAMPLES / "portrait.mp4", folder / "door.mp4")
    pipeline.enhance(
        folder / "door.mp4",
        folder / "better.mkv",
        to_s=0.15,
        evidence=True,
        label=True,
        change_map=True,
        runner="local",
    )
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "better.frames.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_labelled_result_is_verified(made: Path) -> None:
    rows = rows_of(made)
    assert all(len(row["drawn"]) == len(row["faces"]) == 1 for row in rows)
    verification = pipeline.verify(made / "better.mkv")
    assert {finding.state for finding in verification.findings} == {"ok"}


def test_a_label_that_is_not_recorded_is_found(made: Path, tmp_path: Path) -> None:
    case = Path(shutil.copytree(made, tmp_path / "case"))
    rows = rows_of(case)
    del rows[1]["drawn"]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (case / "better.frames.jsonl").write_text(text, encoding="utf-8")
    file = case / "better.report.json"
    report = json.loads(file.read_text(encoding="utf-8"))
    digest = file_sha256(case / "better.frames.jsonl")
    report["videos"][0]["evidence"]["beside_sha256"][".frames.jsonl"] = digest
    file.write_text(json.dumps(report | {"seal": seal_of(report)}), encoding="utf-8")
    failed = pipeline.verify(case / "better.mkv", source=case / "door.mp4").failed
    assert {finding.check for finding in failed} == {"frames"}


def test_the_change_map_is_gray_outside_of_the_faces(made: Path) -> None:
    rows = rows_of(made)
    shown = decode_all(made / "better.changes.mkv")
    assert len(shown) == len(rows)
    for row, picture in zip(rows, shown, strict=True):
        luma = codes_of(picture)[0]
        ((x0, y0, x1, y1),) = (face["region_xyxy_px"] for face in row["faces"])
        inside = luma[y0:y1, x0:x1].copy()
        luma[y0:y1, x0:x1] = 126
        assert set(np.unique(luma)) == {126}
        assert np.count_nonzero(inside != 126) > 100


def test_a_video_without_a_restored_face_does_not_say_that_it_has_some(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    settings = ("encode.preset=ultrafast",)
    report = pipeline.enhance(
        SAMPLES / "portrait.mp4", target, strength=0, to_s=0.2, runner="local", settings=settings
    )
    assert report.videos[0].faces == 0
    assert report.videos[0].tracks
    with av.open(target) as container:
        assert "comment" not in container.metadata
