"""A result is verified; one that was tampered with is not, and it is said what is wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner

import pipeline
from pipeline.cli.app import app
from pipeline.errors import ConfigError, VerificationError, exit_code
from pipeline.job.report import seal_of
from tests.support import SAMPLES
from tests.support.faces import planes_of
from tests.support.media import decode_all

pytestmark = pytest.mark.filterwarnings("default")

Report = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source, what came of it losslessly, and all that lies beside."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(SAMPLES / "portrait.mp4", folder / "door.mp4")
    pipeline.enhance(
        folder / "door.mp4", folder / "better.mkv", to_s=0.25, evidence=True, runner="local"
    )
    return folder


@pytest.fixture
def case(made: Path, tmp_path: Path) -> Path:
    """A copy of it elsewhere, as it is handed over, to be tampered with."""
    return Path(shutil.copytree(made, tmp_path / "case"))


def found(case: Path, sample: int | None = None, name: str = "better.mkv") -> dict[str, str]:
    """Return the checks that failed with what is said of them."""
    verification = pipeline.verify(case / name, source=case / "door.mp4", sample=sample)
    assert verification.findings
    return {finding.check: finding.text for finding in verification.failed}


def edit(case: Path, change: Callable[[Report, Report], object], *, seal: bool = True) -> None:
    """Change the report: the whole, and its only video's part; seal it anew as a forger would."""
    file = case / "better.report.json"
    report: Report = json.loads(file.read_text(encoding="utf-8"))
    change(report, report["videos"][0])
    if seal:
        report["seal"] = seal_of(report)
    file.write_text(json.dumps(report), encoding="utf-8")


def flip(file: Path, at: float = 0.5) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * at)] ^= 1
    file.write_bytes(content)


def append(file: Path, content: bytes) -> None:
    with file.open("ab") as end:
        end.write(content)


def substitute(file: Path, before: bytes, after: bytes) -> None:
    content = file.read_bytes()
    assert before in content
    file.write_bytes(content.replace(before, after))


def redigest(case: Path) -> None:
    """Let the report say of all files what they are now."""

    def change(_: Report, video: Report) -> None:
        video["sha256"] = {name: digest(case / name) for name in video["sha256"]}
        beside = video["evidence"]["beside_sha256"]
        for ending in beside:
            beside[ending] = digest(
                case / Path(video["beside"][ending]).relative_to(case_of(video))
            )
        video["evidence"]["source_sha256"] = {"door.mp4": digest(case / "door.mp4")}

    edit(case, change)


def case_of(video: Report) -> Path:
    return Path(video["output"]).parent


def digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def rewrite_rows(case: Path, change: Callable[[list[Report]], object]) -> None:
    file = case / "better.frames.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    change(rows)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def paint(
    case: Path, *, only: int | None = None, drop: int | None = None, swap: bool = False
) -> None:
    """Encode the output anew: one picture marked or left out, or two exchanged."""
    pictures = decode_all(case / "better.mkv")
    if swap:
        times = [picture.pts for picture in pictures]
        pictures[1], pictures[3] = pictures[3], pictures[1]
        for picture, pts in zip(pictures, times, strict=True):
            picture.pts = pts
    with av.open(case / "better.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=20)
        stream.width, stream.height = pictures[0].width, pictures[0].height
        stream.pix_fmt = pictures[0].format.name
        for number, picture in enumerate(pictures):
            if number == only:
                planes_of(picture)[0][:16, :16] = 235
            if number != drop:
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def test_what_was_handed_over_untouched_is_verified(case: Path) -> None:
    verification = pipeline.verify(case / "better.mkv", source=case / "door.mp4")
    states = {finding.check: finding.state for finding in verification.findings}
    assert set(states.values()) == {"ok"}
    assert {"report", "source", "output", "frames", "outside", "pictures"} <= states.keys()


def test_the_input_and_the_folder_may_have_other_names(case: Path) -> None:
    moved = case.rename(case.with_name("handed over"))
    (moved / "door.mp4").rename(moved / "exhibit 7.mp4")
    verification = pipeline.verify(moved / "better.mkv", source=moved / "exhibit 7.mp4", sample=0)
    assert not verification.failed
    (text,) = (found.text for found in verification.findings if found.check == "source")
    assert text.startswith("exhibit 7.mp4 is what went in")


def test_only_some_frames_may_be_made_again(case: Path) -> None:
    verification = pipeline.verify(case / "better.mkv", source=case / "door.mp4", sample=1)
    assert not verification.failed
    (text,) = (finding.text for finding in verification.findings if finding.check == "frames")
    made, _, rest = text.partition(" of 5 frames made again")
    assert made in "12345"
    said = " (1 chosen at random, and what comes before them in their segments): each came out"
    assert rest.startswith(said if made != "5" else (said, ": each came out"))


FILE_TAMPERING: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a byte of the output": (
        lambda case: flip(case / "better.mkv"),
        "output",
        "better.mkv is not what was written",
    ),
    "another output": (
        lambda case: shutil.copy(case / "door.mp4", case / "better.mkv"),
        "output",
        "better.mkv is not what was written",
    ),
    "a byte of the input": (
        lambda case: flip(case / "door.mp4"),
        "source",
        "is not what went in",
    ),
    "another input": (
        lambda case: shutil.copy(SAMPLES / "street.mp4", case / "door.mp4"),
        "source",
        "is not what went in",
    ),
    "no input": (lambda case: (case / "door.mp4").unlink(), "source", "is not there"),
    "a figure in the report": (
        lambda case: edit(case, lambda _, video: video.update(faces=4), seal=False),
        "report",
        "was edited after it was written",
    ),
    "a report cut short": (
        lambda case: (case / "better.report.json").write_text("{"),
        "report",
        "is not a report that can be read",
    ),
    "a sheet": (
        lambda case: flip(case / "better.faces.png"),
        "beside",
        "better.faces.png is not what was written",
    ),
    "no tracks": (
        lambda case: (case / "better.tracks.jsonl").unlink(),
        "beside",
        "better.tracks.jsonl is not there",
    ),
    "an output cut short": (
        lambda case: os.truncate(case / "better.mkv", 2000),
        "output",
        "better.mkv is not what was written",
    ),
    "bytes after the output": (
        lambda case: append(case / "better.mkv", b"\0"),
        "output",
        "better.mkv is not what was written",
    ),
    "metadata of the output only": (
        lambda case: substitute(case / "better.mkv", b"Faces restored", b"Nobody altered"),
        "output",
        "better.mkv is not what was written",
    ),
    "an output with the name of another": (
        lambda case: (case / "better.mkv").rename(case / "other.mkv"),
        "output",
        "better.mkv is not there",
    ),
    "two rows exchanged with all digests": (
        lambda case: (
            rewrite_rows(case, lambda rows: rows.insert(1, rows.pop(3))),
            redigest(case),
        ),
        "record",
        "contradict each other in: the order of the frames",
    ),
    "a row of a frame": (
        lambda case: rewrite_rows(case, lambda rows: rows[2].update(faces=[])),
        "beside",
        "better.frames.jsonl is not what was written",
    ),
}


@pytest.mark.parametrize("name", FILE_TAMPERING)
def test_tampering_with_a_file_is_found_without_doing_the_work_again(case: Path, name: str) -> None:
    tamper, check, text = FILE_TAMPERING[name]
    tamper(case)
    assert text in found(case, sample=0)[check]


def hide_a_face(case: Path) -> None:
    """Let frames' record and report agree that one frame less was altered."""
    rewrite_rows(case, lambda rows: rows[2].update(faces=[]))
    edit(case, lambda _, video: video.update(faces=4))

    def change(_: Report, video: Report) -> None:
        (track,) = video["evidence"]["tracks"]
        rows = [
            json.loads(line) for line in (case / "better.frames.jsonl").read_text().splitlines()
        ]
        faces = [face for row in rows for face in row["faces"]]
        boxes = np.array([face["region_xyxy_px"] for face in faces])
        track["frames"] = len(faces)
        track["largest"] = max(face["largest"] for face in faces)
        track["area_px"] = round(sum(face["area_px"] for face in faces) / len(faces))
        track["within_xyxy_px"] = [*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist()]

    edit(case, change)
    redigest(case)


FORGERY: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "other settings": (
        lambda case: edit(
            case,
            lambda _, video: video["evidence"]["work"]["graph"]["nodes"]["paste"]["config"].update(
                strength=0.5
            ),
        ),
        "graph",
        "are not those of the run",
    ),
    "other weights": (
        lambda case: edit(
            case, lambda _, video: video["evidence"]["work"]["weights"].update(enhance="0" * 64)
        ),
        "weights",
        "are not those of the run",
    ),
    "a face that is not told of": (
        hide_a_face,
        "frames",
        "other regions are altered than are recorded",
    ),
    "a sum that is not that of the rows": (
        lambda case: edit(case, lambda _, video: video["evidence"]["tracks"][0].update(largest=1)),
        "record",
        "contradict each other in: what was altered of each face",
    ),
    "another input with all digests": (
        lambda case: (
            shutil.copy(SAMPLES / "portrait_reference.mp4", case / "door.mp4"),
            redigest(case),
        ),
        "frames",
        "",
    ),
    "a painted picture with all digests": (
        lambda case: (paint(case, only=3), redigest(case)),
        "pictures",
        "",
    ),
    "two pictures exchanged with all digests": (
        lambda case: (paint(case, swap=True), redigest(case)),
        "pictures",
        "",
    ),
    "a picture less with all digests": (
        lambda case: (paint(case, drop=3), redigest(case)),
        "pictures",
        "",
    ),
}


@pytest.mark.parametrize("name", FORGERY)
def test_a_forged_report_is_found_by_doing_the_work_again(case: Path, name: str) -> None:
    forge, check, text = FORGERY[name]
    forge(case)
    failures = found(case)
    assert text in failures[check]
    assert "report" not in failures
    assert "output" not in failures


def test_the_command_says_each_finding_and_fails(case: Path) -> None:
    command = ["verify", str(case / "better.report.json"), "--sample", "0"]
    done = CliRunner().invoke(app, [*command, "--source", str(case / "door.mp4")])
    assert done.exit_code == 0, done.output
    assert "ok  output: better.mkv is the file that was written" in done.output
    flip(case / "better.mkv")
    failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, VerificationError)
    assert exit_code(failed.exception) == 5
    assert "FAILED  output: better.mkv is not what was written: SHA-256" in failed.output


def test_without_a_report_nothing_can_be_verified(tmp_path: Path) -> None:
    (tmp_path / "door.mkv").write_bytes(b"a video")
    with pytest.raises(ConfigError, match="has no report to verify it by; looked for"):
        pipeline.verify(tmp_path / "door.mkv")
    with pytest.raises(ConfigError, match=r"no such file or folder: .*none"):
        pipeline.verify(tmp_path / "none.mkv")


@pytest.mark.parametrize("runner", ["local", pytest.param("ray", marks=pytest.mark.slow)])
@pytest.mark.parametrize("scale", [1, 2])
def test_lossy_results_are_verified_too(tmp_path: Path, runner: str, scale: int) -> None:
    """Whoever made them: what differs is what coding does, and rounding in other batches."""
    names = ("street", "portrait")
    pipeline.enhance(
        [SAMPLES / f"{name}.mp4" for name in names],
        tmp_path,
        to_s=0.25,
        scale=scale,
        runner=runner,
    )
    verification = pipeline.verify(tmp_path)
    assert not verification.failed
    checks = [finding.check for finding in verification.findings]
    assert checks.count("pictures") == checks.count("outside") == len(names)
    about = {finding.output for finding in verification.findings if finding.check != "report"}
    assert about == {f"{name}.mp4" for name in names}


@pytest.mark.parametrize("name", ["f_%04d.png", "photo.jpg"])
def test_pictures_are_verified_too(tmp_path: Path, name: str) -> None:
    """Also where they hold colours otherwise than the source does."""
    source: Path = SAMPLES / "portrait.mp4"
    to_s: float | None = 0.15
    if name == "photo.jpg":
        source, to_s = tmp_path / "in.png", None
        decode_all(SAMPLES / "portrait.mp4")[0].to_image().save(source)
    pipeline.enhance(source, tmp_path / name, to_s=to_s, runner="local")
    verification = pipeline.verify(tmp_path / name)
    assert not verification.failed
    (pictures,) = (f.text for f in verification.findings if f.check == "pictures")
    assert "coding as such a picture" in pictures
    assert float(pictures.partition("square by ")[2].partition(",")[0]) < 3
