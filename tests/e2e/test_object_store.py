"""Inputs and outputs in an object store: the same job, against a real S3 server."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from upath import UPath

import pipeline
from aminet.errors import WeightsError
from aminet.model_files import FOLDER, read_weights
from nodes.errors import MediaError
from pipeline.config import load_config
from pipeline.credentials.read import read_signature
from pipeline.errors import OutputError, StorageError
from pipeline.job.files import VideoFiles
from pipeline.job.monitors import SilentMonitor
from pipeline.job.plan import plan_inputs
from pipeline.job.report import RunReport
from pipeline.run.contract import Progress
from pipeline.storage.locations import list_files, location_of, read, remove, version_of
from tests.support.certificates import make_certificate
from tests.support.footage import looped
from tests.support.media import AudioTrack, Video, decode_all, make_video, packets_of
from tests.support.s3 import s3_server
from tests.support.sink_nodes import install, write_run
from tests.support.video_nodes import same_pixels

pytestmark = pytest.mark.filterwarnings("default")

FOOTAGE = Video(frames=90, gop_frames=10, b_frames=2, audio=(AudioTrack(duration_s=3.5),))
CUT = ("enhance.weights=bicubic", "encode.preset=ultrafast", "run.segment_s=0.7")
LOCAL = "run.runner=local"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket(server: str) -> UPath:
    """A place of its own for each test."""
    return location_of(f"{server}/{uuid.uuid4().hex[:8]}")


def put(file: Path, place: UPath) -> str:
    place.write_bytes(file.read_bytes())
    return str(place)


def get(place: UPath, folder: Path) -> Path:
    file = folder / f"{uuid.uuid4().hex}{place.suffix}"
    file.write_bytes(read(place) or b"")
    return file


def run(source: object, target: object, scratch: Path, *more: str, **flags: Any) -> RunReport:
    settings = (*CUT, LOCAL, f"run.scratch_dir={scratch}", *more)
    return pipeline.enhance(str(source), str(target), settings=settings, **flags)


class StopAt(SilentMonitor):
    def __init__(self, frames: int) -> None:
        self.frames = frames

    def advanced(self, video: VideoFiles, progress: Progress) -> None:
        if progress.frames >= self.frames:
            raise KeyboardInterrupt


def manifests(target: UPath) -> dict[str, Any]:
    folder = target.with_name(f".{target.name}.aminet-part")
    names = [name for name in list_files(folder) if name.endswith("/manifest.json")]
    return {name: json.loads(read(folder / name) or b"") for name in names}


def test_a_folder_in_a_bucket_becomes_a_folder_in_a_bucket(bucket: UPath, tmp_path: Path) -> None:
    made = make_video(tmp_path / "v.mp4", replace(FOOTAGE, frames=45))
    for name in ("a.mp4", "deep/er/b.mp4"):
        put(made, bucket / "in" / name)
    (bucket / "in" / "notes.txt").write_bytes(b"x")
    (bucket / "in" / ".hidden.mp4").write_bytes(b"x")

    report = run(bucket / "in", bucket / "out", tmp_path / "scratch")
    assert {Path(video.source).name: video.status for video in report.videos} == {
        "a.mp4": "done",
        "b.mp4": "done",
    }
    assert [video.segments for video in report.videos] == [3, 3]
    assert report.skipped == (str(bucket / "in" / "notes.txt"),)
    assert report.path == str(bucket / "out" / "report.json")
    assert list(list_files(bucket / "out")) == [
        *("a.frames.jsonl", "a.mp4", "report.html", "report.json"),
        *("deep/er/b.frames.jsonl", "deep/er/b.mp4"),
    ]

    local = run(made, tmp_path / "local.mp4", tmp_path / "scratch").videos[0]
    stored = get(bucket / "out" / "deep" / "er" / "b.mp4", tmp_path)
    assert same_pixels(decode_all(stored), decode_all(tmp_path / "local.mp4"))
    assert packets_of(stored, 1) == packets_of(tmp_path / "local.mp4", 1)
    assert report.videos[0].identity == local.identity

    before = version_of(bucket / "out" / "a.mp4")
    again = run(bucket / "in", bucket / "out", tmp_path / "scratch")
    assert [video.identity for video in again.videos] == [local.identity] * 2
    assert version_of(bucket / "out" / "a.mp4") == before


def test_an_interrupted_run_goes_on_from_what_lies_in_the_bucket(
    bucket: UPath, tmp_path: Path
) -> None:
    source = put(make_video(tmp_path / "v.mp4", FOOTAGE), bucket / "v.mp4")
    target = bucket / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        run(source, target, tmp_path / "one", monitor=StopAt(55))
    kept = manifests(target)
    assert len(kept) >= 2
    assert list_files(bucket).keys() - {"v.mp4"} == {
        f".out.mkv.aminet-part/{manifest.replace('manifest.json', name)}"
        for manifest, told in kept.items()
        for name in (
            "manifest.json",
            f"{told['token']}/encode/encoded.video",
            f"{told['token']}/evidence/frames.jsonl",
            f"{told['token']}/tracks/tracks.jsonl",
        )
    }
    # On another machine: another scratch folder, where nothing is yet.
    settings = (*CUT, LOCAL, f"run.scratch_dir={tmp_path / 'two'}")
    config = load_config(None, settings)
    (plan,) = plan_inputs([source], str(target), config, overwrite=False, resume=True).videos
    assert len(plan.done) == len(kept)
    report = run(source, target, tmp_path / "two")
    assert report.videos[0].segments_reused == len(kept)
    assert len(decode_all(get(target, tmp_path))) == 90
    assert sorted(list_files(bucket)) == [
        "out.frames.jsonl",
        "out.mkv",
        "out.report.html",
        "out.report.json",
        "v.mp4",
    ]


def test_the_files_of_other_packages_sinks_go_into_the_bucket(
    bucket: UPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    source = put(make_video(tmp_path / "v.mp4", FOOTAGE), bucket / "v.mp4")
    joined = write_run(tmp_path, notes="type: acme.joined")
    settings = ("run.segment_s=0.7", f"run.scratch_dir={tmp_path / 'scratch'}")
    report = pipeline.enhance(source, str(bucket / "out.mkv"), config=joined, settings=settings)
    assert report.videos[0].segments == 5
    assert report.videos[0].beside == {".times.csv": str(bucket / "out.times.csv")}
    assert len((read(bucket / "out.times.csv") or b"").splitlines()) == 90
    plain = write_run(tmp_path, notes="type: acme.notes, config: {name: .deep/a.csv}")
    target = str(bucket / "out.mkv")
    pipeline.enhance(source, target, config=plain, settings=settings, overwrite=True)
    assert set(list_files(bucket)) == {
        *("v.mp4", "out.mkv", "out.report.html", "out.report.json", "out.notes/.deep/a.csv"),
    }


def test_local_to_bucket_and_bucket_to_local(bucket: UPath, tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", FOOTAGE)
    run(source, bucket / "up.mkv", tmp_path / "scratch", scale=2)
    run(bucket / "up.mkv", tmp_path / "down.mkv", tmp_path / "scratch")
    frames = decode_all(tmp_path / "down.mkv")
    assert (len(frames), frames[0].width) == (90, 2 * decode_all(source)[0].width)
    with pytest.raises(OutputError, match="add --overwrite"):
        run(source, bucket / "up.mkv", tmp_path / "scratch")


@pytest.mark.slow
def test_ray_workers_fetch_and_put_by_themselves(bucket: UPath, tmp_path: Path) -> None:
    source = put(make_video(tmp_path / "v.mp4", FOOTAGE), bucket / "v.mp4")
    more = ("run.runner=ray", "run.threads=2", "run.workers=2")
    report = run(source, bucket / "out.mp4", tmp_path / "scratch", *more)
    assert (report.runner["name"], report.videos[0].segments) == ("ray", 5)
    run(source, tmp_path / "local.mp4", tmp_path / "scratch")
    stored = get(bucket / "out.mp4", tmp_path)
    assert same_pixels(decode_all(stored), decode_all(tmp_path / "local.mp4"))


def test_errors_speak_of_the_source_not_of_its_copy(bucket: UPath, tmp_path: Path) -> None:
    (bucket / "v.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(MediaError) as raised:
        run(bucket / "v.mp4", tmp_path / "out.mp4", tmp_path / "scratch")
    assert str(raised.value).startswith(f"{bucket}/v.mp4: not a media file")


def test_what_does_not_exist_is_named(bucket: UPath, tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", FOOTAGE)
    for missing in (bucket / "none.mp4", "s3://no-such-bucket/v.mp4"):
        with pytest.raises(MediaError, match="no such file, folder or bucket: s3://"):
            run(missing, tmp_path / "out.mp4", tmp_path / "scratch")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/.*no such bucket or file"):
        run(source, "s3://no-such-bucket/out.mp4", tmp_path / "scratch")
    with pytest.raises(StorageError, match="expected a path, or a URL that begins with"):
        run(source, "s4://bucket/out.mp4", tmp_path / "scratch")


def test_without_credentials_the_error_says_what_to_set(bucket: UPath) -> None:
    without = {k: v for k, v in os.environ.items() if not k.startswith("AWS_ACCESS")}
    place = UPath(str(bucket / "out.mp4"), skip_instance_cache=True)
    with (
        patch.dict(os.environ, without, clear=True),
        pytest.raises(StorageError, match=r"no credentials .* AWS_ACCESS_KEY_ID"),
    ):
        read(place)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    with pytest.raises(StorageError, match="gs:// needs another package: pip install gcsfs"):
        run(source, "gs://bucket/out.mp4", tmp_path / "scratch")


def test_a_video_larger_than_the_scratch_folder_may_be_is_an_error(
    bucket: UPath, tmp_path: Path
) -> None:
    source = put(make_video(tmp_path / "v.mp4", FOOTAGE), bucket / "v.mp4")
    with pytest.raises(StorageError, match=r"v.mp4: needs [\d,]+ bytes .* raise run.scratch_bytes"):
        run(source, tmp_path / "out.mp4", tmp_path / "scratch", "run.scratch_bytes=1KB")


def test_weights_may_lie_in_an_object_store(bucket: UPath, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".json"):
        put((FOLDER / "aminet-s").with_suffix(suffix), bucket / f"mine{suffix}")
    source = looped(tmp_path / "v.mp4", 4)
    weights = f"enhance.weights={bucket / 'mine.safetensors'}"
    report = run(source, tmp_path / "out.mp4", tmp_path / "scratch", weights)
    (pool,) = report.runner["pools"]["enhance"]
    assert pool["faces"] == report.videos[0].faces == 4
    assert pool["sha256"] == read_weights("aminet-s").sha256


@pytest.mark.parametrize("runner", ["local", "ray"])
def test_weights_are_read_once(
    runner: str, bucket: UPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is run is what the results are named after, whatever becomes of the file meanwhile."""
    taken: list[str] = []

    def take(place: UPath) -> bytes | None:
        taken.append(place.name)
        content = read(place)
        remove(place)
        return content

    monkeypatch.setattr("pipeline.graph.prepare.read", take)
    for suffix in (".safetensors", ".json"):
        put((FOLDER / "aminet-s").with_suffix(suffix), bucket / f"mine{suffix}")
    weights = f"enhance.weights={bucket / 'mine.safetensors'}"
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    more = (weights, f"run.runner={runner}")
    report = run(source, tmp_path / "out.mp4", tmp_path / "scratch", *more)
    assert report.runner["name"] == runner
    assert sorted(taken) == ["mine.json", "mine.safetensors"]
    pools = report.runner["pools"]["enhance"]
    # On Ray, a video without faces may be done before an enhancer is ready.
    assert pools or runner == "ray"
    assert {pool["sha256"] for pool in pools} <= {read_weights("aminet-s").sha256}


def test_weights_that_are_not_there(bucket: UPath, tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    weights = f"enhance.weights={bucket / 'other.safetensors'}"
    with pytest.raises(WeightsError, match=f"no weights file at {bucket}/other.safetensors"):
        run(source, tmp_path / "no.mp4", tmp_path, weights)


def test_a_finished_output_is_signed_in_its_place(bucket: UPath, tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    source = put(make_video(tmp_path / "in.mp4", Video(frames=6)), bucket / "in.mp4")
    target = bucket / "out.mp4"
    before = run(source, target, tmp_path / "s").videos[0]
    assert before.signed == ()
    cert, key = make_certificate(tmp_path)
    video = run(source, target, tmp_path / "s", sign_cert=cert, sign_key=key).videos[0]
    assert video.signed == ("out.mp4",)
    assert video.outputs_are_there
    assert read_signature(get(target, tmp_path), None).faults == ()
    assert not [name for name in list_files(bucket) if ".aminet-part" in name]
