"""All outputs of a video are signed; those of an earlier run too, without making them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import RunConfig, RunOptions
from pipeline.errors import OutputError, RunFailedError
from pipeline.job.job import run_job
from pipeline.job.monitors import SilentMonitor
from pipeline.job.plan import plan_inputs
from pipeline.job.report import VideoReport
from tests.support.certificates import make_certificate
from tests.support.media import Video, make_video

c2pa = pytest.importorskip("c2pa")

pytestmark = pytest.mark.filterwarnings("default")

ENCODE = "{type: aminet.encode, inputs: {frames: decode.frames}"
ONE = f"""
name: one
nodes:
  decode: {{type: aminet.decode}}
  main: {ENCODE}}}
"""
TWO = ONE + f"  small: {ENCODE}, config: {{crf: 40}}}}\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_video(tmp_path / "door.mp4", Video(frames=6))


@pytest.fixture
def signing(tmp_path: Path) -> RunOptions:
    cert, key = make_certificate(tmp_path)
    return RunOptions(runner="local", threads=1, sign_cert=cert, sign_key=key)


def config_of(folder: Path, graph: str, options: RunOptions | None = None) -> RunConfig:
    file = folder / "graph.yaml"
    file.write_text(graph)
    return RunConfig(graph=str(file), run=options or RunOptions(runner="local", threads=1))


def run(source: Path, target: Path, config: RunConfig) -> VideoReport:
    (video,) = run_job(
        [str(source)],
        str(target),
        config=config,
        overwrite=False,
        resume=True,
        monitor=SilentMonitor(),
    ).videos
    return video


def manifest_of(file: Path, beside: Path | None = None) -> Any:
    media_type = "video/mp4" if beside is None else "application/octet-stream"
    manifest = None if beside is None else beside.read_bytes()
    with file.open("rb") as content, c2pa.Reader(media_type, content, manifest) as reader:
        store = json.loads(reader.json())
    assert store["validation_state"] == "Valid"
    return store["manifests"][store["active_manifest"]]


@pytest.mark.parametrize("finished", [False, True])
def test_each_of_several_outputs_is_signed(
    source: Path, tmp_path: Path, signing: RunOptions, finished: bool
) -> None:
    target = tmp_path / "out.mp4"
    if finished:
        assert run(source, target, config_of(tmp_path, TWO)).signed == ()
    video = run(source, target, config_of(tmp_path, TWO, signing))
    assert video.signed == ("out.main.mp4", "out.small.mp4")
    assert video.outputs_are_there
    for name in video.signed:
        manifest = manifest_of(tmp_path / name)
        assert manifest["title"] == name
        assert manifest["ingredients"][0]["title"] == "door.mp4"


@pytest.mark.parametrize("finished", [False, True])
def test_each_manifest_that_lies_beside_has_its_own_name(
    source: Path, tmp_path: Path, signing: RunOptions, finished: bool
) -> None:
    target = tmp_path / "out.mkv"
    if finished:
        run(source, target, config_of(tmp_path, TWO))
    video = run(source, target, config_of(tmp_path, TWO, signing))
    for node in ("main", "small"):
        beside = tmp_path / f"out.{node}.c2pa"
        assert video.beside[f".{node}.c2pa"] == str(beside)
        assert manifest_of(tmp_path / f"out.{node}.mkv", beside)["title"] == f"out.{node}.mkv"
    assert video.outputs_are_there
    assert video.evidence is not None
    assert video.evidence.beside_sha256.keys() == video.beside.keys()


def test_what_is_finished_is_signed_and_not_made_again(
    source: Path, tmp_path: Path, signing: RunOptions
) -> None:
    target = tmp_path / "out.mkv"
    run(source, target, config_of(tmp_path, ONE))
    made = target.stat().st_mtime_ns, target.read_bytes()
    config = config_of(tmp_path, ONE, signing)
    (planned,) = (
        plan := plan_inputs([str(source)], str(target), config, overwrite=False, resume=True)
    ).videos
    assert plan.signs_finished(planned)
    run(source, target, config)
    assert (target.stat().st_mtime_ns, target.read_bytes()) == made
    manifest_of(target, tmp_path / "out.c2pa")
    assert not list(tmp_path.glob(".out*"))
    signed = (tmp_path / "out.c2pa").read_bytes()
    run(source, target, config)
    assert (tmp_path / "out.c2pa").read_bytes() == signed


def test_a_manifest_of_others_is_not_replaced(
    source: Path, tmp_path: Path, signing: RunOptions
) -> None:
    run(source, tmp_path / "out.mkv", config_of(tmp_path, ONE))
    (tmp_path / "out.c2pa").write_text("mine")
    with pytest.raises(OutputError, match=r"out\.c2pa exists already: remove it"):
        run(source, tmp_path / "out.mkv", config_of(tmp_path, ONE, signing))
    assert (tmp_path / "out.c2pa").read_text() == "mine"


def test_a_signature_that_fails_leaves_the_finished_output(
    source: Path, tmp_path: Path, signing: RunOptions
) -> None:
    target = tmp_path / "out.mp4"
    run(source, target, config_of(tmp_path, ONE))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    unanswered = signing.model_copy(update={"sign_tsa": "http://127.0.0.1:9/"})
    with pytest.raises(
        RunFailedError, match=r"out\.mp4: not signed, since the timestamp authority"
    ):
        run(source, target, config_of(tmp_path, ONE, unanswered))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert run(source, target, config_of(tmp_path, ONE, signing)).signed == ("out.mp4",)


def test_numbered_pictures_are_signed_each_with_its_own_source(
    source: Path, tmp_path: Path, signing: RunOptions
) -> None:
    plain, better = tmp_path / "plain", tmp_path / "better"
    run(source, plain / "p_%02d.png", config_of(tmp_path, ONE))
    video = run(plain / "p_%02d.png", better / "p_%02d.png", config_of(tmp_path, ONE, signing))
    assert len(video.signed) == 6
    with (better / "p_03.png").open("rb") as content, c2pa.Reader("image/png", content) as reader:
        store = json.loads(reader.json())
    assert store["validation_state"] == "Valid"
    manifest = store["manifests"][store["active_manifest"]]
    assert manifest["ingredients"][0]["title"] == "p_03.png"
    unsigned = run(source, tmp_path / "cut" / "p_%02d.png", config_of(tmp_path, ONE, signing))
    assert unsigned.signed == ()
    assert any("not signed" in note for note in unsigned.notes)
