"""The record of a run: digests of all that went in and came out, and what was altered."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import jsonschema
import pytest

import pipeline
from nodes.evidence.rows import FrameRow, read_rows
from nodes.join import FRAMES
from nodes.picture.digest import picture_sha256
from pipeline.evidence.label import LABEL
from pipeline.job.report import RunReport, VideoReport, report_schema
from tests.support import SAMPLES
from tests.support.media import decode_all

pytestmark = pytest.mark.filterwarnings("default")

SOURCE = SAMPLES / "portrait.mp4"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """A quarter of a second, twice as large, losslessly."""
    return pipeline.enhance(
        SOURCE,
        tmp_path_factory.mktemp("out") / "door.mkv",
        runner="local",
        scale=2,
        to_s=0.25,
        settings=["encode.codec=ffv1"],
        command=["aminet", "enhance", "door's.mp4"],
    )


@pytest.fixture(scope="module")
def video(run: RunReport) -> VideoReport:
    return run.videos[0]


@pytest.fixture(scope="module")
def rows(video: VideoReport) -> list[FrameRow]:
    return list(read_rows(Path(video.beside[FRAMES])))


def file_digest(path: str | Path) -> str:
    return sha256(Path(path).read_bytes()).hexdigest()


def test_each_frame_that_went_in_and_came_out_has_its_digest(
    video: VideoReport, rows: list[FrameRow]
) -> None:
    source, written = decode_all(SOURCE)[: len(rows)], decode_all(str(video.output))
    assert len(rows) == len(written) == video.frames == 5
    assert [row["pts"] for row in rows] == [picture.pts for picture in source]
    assert [row["source"] for row in rows] == [picture_sha256(picture) for picture in source]
    assert [row["written"] for row in rows] == [picture_sha256(picture) for picture in written]


def test_all_files_have_their_digests(video: VideoReport) -> None:
    evidence = video.evidence
    assert evidence is not None
    assert evidence.source_sha256 == {SOURCE.name: file_digest(SOURCE)}
    assert evidence.beside_sha256 == {
        ending: file_digest(place) for ending, place in video.beside.items()
    }
    assert video.sha256 == {"door.mkv": file_digest(str(video.output))}


def test_it_says_what_was_run_with_what(run: RunReport, video: VideoReport) -> None:
    assert video.evidence is not None
    work = video.evidence.work
    (pool,) = run.runner["pools"]["enhance"]
    assert work.weights == {"enhance": pool["sha256"]}
    assert work.graph == run.config["graph"]
    assert {"aminet-video", "libavcodec", "torch", "python"} <= work.versions.keys()
    assert work.command == run.command == ("aminet", "enhance", "door's.mp4")


def test_it_says_what_was_altered_of_each_face(video: VideoReport, rows: list[FrameRow]) -> None:
    assert video.evidence is not None
    (track,) = video.evidence.tracks
    faces = [row["faces"][0] for row in rows]
    assert track.frames == len(faces) == video.faces
    assert track.largest == max(face["largest"] for face in faces) > 3
    assert track.consistency_db is not None
    assert track.consistency_db > 30
    left, top, right, bottom = track.within_xyxy_px
    assert 0 <= left < right <= 2 * 320
    assert 0 <= top < bottom <= 2 * 240


def test_the_report_keeps_to_its_published_schema(run: RunReport) -> None:
    report: dict[str, Any] = json.loads(Path(run.path).read_text(encoding="utf-8"))
    jsonschema.validate(report, report_schema())
    assert report["videos"][0]["evidence"]["work"]["threads"] > 0


def digests(video: VideoReport) -> tuple[dict[str, str], str]:
    assert video.evidence is not None
    return video.sha256, video.evidence.beside_sha256[FRAMES]


def run_for_evidence(folder: Path, *settings: str, runner: str) -> VideoReport:
    """Make an output with tags, and a map of the changes."""
    return pipeline.enhance(
        SOURCE,
        folder / "door.mp4",
        to_s=0.5,
        evidence=True,
        label=True,
        change_map=True,
        settings=settings,
        runner=runner,
    ).videos[0]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> VideoReport:
    return run_for_evidence(tmp_path_factory.mktemp("exact"), runner="local")


def test_evidence_is_lossless(exact: VideoReport) -> None:
    rows = list(read_rows(Path(exact.beside[FRAMES])))
    decoded = [picture_sha256(picture) for picture in decode_all(str(exact.output))]
    assert decoded == [row["written"] for row in rows]
    assert exact.nodes["encode"]["lossless"] is True


def test_evidence_is_the_same_whatever_runs_it(exact: VideoReport, tmp_path: Path) -> None:
    settings = ("enhance.max_batch=3", "run.threads=1", "run.window_frames=5")
    again = run_for_evidence(tmp_path, *settings, runner="local")
    assert digests(again) == digests(exact)
    assert again.sha256.keys() == {"door.mp4", "door.changes.mp4"}


@pytest.mark.slow
def test_evidence_is_the_same_on_ray(exact: VideoReport, tmp_path: Path) -> None:
    settings = ("run.workers=2", "run.enhancers=2", "run.block_frames=3", "enhance.max_batch=7")
    again = run_for_evidence(tmp_path, *settings, runner="ray")
    assert digests(again) == digests(exact)


def test_the_file_itself_says_that_faces_were_restored(exact: VideoReport, tmp_path: Path) -> None:
    """Whatever becomes of the report; once, however often it is restored."""
    with av.open(str(exact.output)) as container:
        assert container.metadata["comment"] == LABEL
    again = pipeline.enhance(
        str(exact.output), tmp_path / "again.mkv", runner="local", settings=["crop.min_blur_px=0"]
    )
    assert again.videos[0].faces
    with av.open(tmp_path / "again.mkv") as container:
        assert {k.lower(): v for k, v in container.metadata.items()}["comment"] == LABEL
