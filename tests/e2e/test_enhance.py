"""The main job on the samples: real video in, real video out, on both runners."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image

import pipeline
from pipeline.job.report import RunReport
from tests.support import SAMPLES
from tests.support.media import decode_all, packets_of, planes

pytestmark = pytest.mark.filterwarnings("default")

NAMES = ("street", "portrait")
LOSSLESS = ("encode.codec=ffv1",)


@pytest.fixture(scope="module")
def restored_by_ray(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """The beginning of both samples at once, on an embedded Ray."""
    return pipeline.enhance(
        [SAMPLES / f"{name}.mp4" for name in NAMES],
        tmp_path_factory.mktemp("ray"),
        scale=2,
        to_s=1.5,
        runner="ray",
        settings=LOSSLESS,
    )


def output_of(report: RunReport) -> Path:
    (video,) = report.videos
    assert video.output is not None
    return Path(video.output)


def times_of(path: Path) -> list[Fraction]:
    return [Fraction(frame.pts or 0) * (frame.time_base or 0) for frame in decode_all(path)]


def enlarged(frame: av.VideoFrame) -> list[npt.NDArray[np.uint8]]:
    """What plain enlarging by swscale makes of a frame."""
    how = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    bigger = VideoReformatter().reformat(
        frame, frame.width * 2, frame.height * 2, interpolation=how
    )
    return planes(bigger)


def near_faces(
    faces: list[dict[str, list[list[float]]]], shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Return where in a twice enlarged picture true faces are: three eye distances around each."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    near = np.zeros(shape, np.bool_)
    for face in faces:
        points = 2 * np.array(face["points_px"])
        radius_px = 3 * np.hypot(*(points[1] - points[0])) + 8
        centre = points.mean(axis=0)
        near |= np.hypot(x - centre[0], y - centre[1]) < radius_px
    return near


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_comes_out_at_its_own_time(restored: dict[str, RunReport], name: str) -> None:
    source = times_of(SAMPLES / f"{name}.mp4")
    output = times_of(output_of(restored[name]))
    assert len(output) == len(source)
    # Matroska counts milliseconds from 0, which the sound's first packet lies before; the next test
    # is exact, in a container that can be.
    shift = Fraction(restored[name].videos[0].mux["shift_s"]).limit_denominator(1000)
    assert max(abs(a + shift - b) for a, b in zip(source, output, strict=True)) <= Fraction(1, 999)


@pytest.mark.parametrize("name", NAMES)
def test_in_mp4_times_are_exact_and_sound_is_untouched(name: str, tmp_path: Path) -> None:
    source = SAMPLES / f"{name}.mp4"
    target = tmp_path / f"{name}.mp4"
    settings = ("encode.preset=ultrafast", "params.weights=bicubic")
    pipeline.enhance(source, target, settings=settings)
    assert times_of(target) == times_of(source)
    assert packets_of(target, 1) == packets_of(source, 1)


@pytest.mark.parametrize("name", NAMES)
def test_only_faces_differ_from_plain_enlarging(restored: dict[str, RunReport], name: str) -> None:
    truth = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))
    source = decode_all(SAMPLES / f"{name}.mp4")
    output = decode_all(output_of(restored[name]))
    changed = 0
    for index, (before, after) in enumerate(zip(source, output, strict=True)):
        luma, plain = planes(after)[0], enlarged(before)[0]
        differs = luma != plain
        changed += int(differs.sum())
        near = near_faces(truth[name]["frames"][index]["faces"], differs.shape)
        assert not (differs & ~near).any(), f"frame {index}"
    assert changed > 1000


@pytest.mark.parametrize("name", NAMES)
def test_without_strength_the_output_is_plain_enlarging_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    source, target = SAMPLES / f"{name}.mp4", tmp_path / f"{name}.mkv"
    pipeline.enhance(
        source, target, scale=2, strength=0, to_s=1.0, runner="local", settings=LOSSLESS
    )
    made = decode_all(target)
    assert len(made) >= 15
    for before, after in zip(decode_all(source)[: len(made)], made, strict=True):
        for plane, plain in zip(planes(after), enlarged(before), strict=True):
            np.testing.assert_array_equal(plane, plain)


def test_ray_gives_what_the_local_runner_gives(
    restored: dict[str, RunReport], restored_by_ray: RunReport
) -> None:
    for video in restored_by_ray.videos:
        assert video.output is not None
        local = decode_all(output_of(restored[Path(video.source).stem]))
        ray = decode_all(video.output)
        assert len(ray) >= 22
        assert [frame.pts for frame in ray] == [frame.pts for frame in local[: len(ray)]]
        for a, b in zip(ray, local, strict=False):
            for plane, other in zip(planes(a), planes(b), strict=True):
                assert np.abs(plane.astype(int) - other).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_the_report_tells_what_was_done(restored: dict[str, RunReport], name: str) -> None:
    report = json.loads(Path(restored[name].path).read_text(encoding="utf-8"))
    (video,) = report["videos"]
    assert video["status"] == "done"
    assert video["frames"] == len(decode_all(SAMPLES / f"{name}.mp4"))
    assert video["faces"] > 0.5 * video["frames"]
    assert video["tracks"] == {"street": 5, "portrait": 1}[name]
    assert set(video["stage_busy_s"]) == set(report["config"]["graph"]["nodes"])
    (enhancer,) = report["runner"]["pools"]["enhance"]
    assert len(enhancer["sha256"]) == 64
    assert enhancer["faces"] == video["faces"]
    assert report["config"]["graph"]["params"]["scale"] == 2
    assert "not a proof" in report["note"]


@pytest.mark.parametrize("name", NAMES)
def test_the_contact_sheet_is_a_picture_beside_the_video(
    restored: dict[str, RunReport], name: str
) -> None:
    (video,) = restored[name].videos
    assert video.tracks_file is not None
    rows = [json.loads(line) for line in Path(video.tracks_file).read_text().splitlines()]
    assert len({row["track_id"] for row in rows if row["track_id"]}) == video.tracks
    assert sum(row["gate"] is None for row in rows) == video.faces
    assert {row["frame"] for row in rows} <= set(range(video.frames))
    assert video.best_shots is not None
    assert len(list(Path(video.best_shots).glob("*.png"))) == video.tracks
    assert video.sheet == str(output_of(restored[name]).with_suffix(".faces.png"))
    with Image.open(str(video.sheet)) as sheet:
        assert sheet.width > 400
        assert np.asarray(sheet.convert("L")).std() > 10


def test_nothing_but_the_results_is_left_in_the_folder(restored: dict[str, RunReport]) -> None:
    folder = output_of(restored["street"]).parent
    endings = (
        *(".mkv", ".faces.png", ".faces", ".frames.jsonl", ".tracks.jsonl"),
        *(".report.html", ".report.json"),
    )
    optional = {f"{name}.tracks.parquet" for name in NAMES}
    assert {path.name for path in folder.iterdir()} - optional == {
        f"{name}{ending}" for name in NAMES for ending in endings
    }


def test_two_videos_of_one_name_have_a_sheet_each(tmp_path: Path) -> None:
    inputs = [tmp_path / "in" / name for name in ("gate.mp4", "gate.mkv")]
    inputs[0].parent.mkdir()
    shutil.copy(SAMPLES / "portrait.mp4", inputs[0])
    with av.open(inputs[0]) as source, av.open(inputs[1], "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    report = pipeline.enhance(
        tmp_path / "in",
        tmp_path / "out",
        runner="local",
        to_s=0.2,
        settings=["enhance.weights=bicubic"],
    )
    sheets = [Path(str(video.sheet)).name for video in report.videos]
    assert sorted(sheets) == ["gate.mkv.faces.png", "gate.mp4.faces.png"]
    for name in ("gate.mkv", "gate.mp4"):
        for ending in (".faces.png", ".faces/0001.png", ".tracks.jsonl"):
            assert (tmp_path / "out" / (name + ending)).exists()
