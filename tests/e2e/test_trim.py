"""A part of a video: exact to the frame, with the sound, texts and chapters that belong to it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

import pipeline
from nodes.errors import NodeConfigError
from pipeline.errors import GraphError
from pipeline.job.report import RunReport
from tests.support.media import (
    AudioTrack,
    Subtitle,
    Video,
    decode_all,
    make_video,
    packets_of,
    planes,
)

pytestmark = pytest.mark.filterwarnings("default")

NETWORK_OFF = ("enhance.weights=bicubic", "run.threads=1")
LOSSLESS = (*NETWORK_OFF, "encode.codec=x264", "encode.options={qp: '0'}")

MILLISECONDS = Fraction(1, 1000)


def restore(
    source: Path, target: Path, from_s: float | str | None, to_s: float | str | None
) -> RunReport:
    return pipeline.enhance(
        source, target, from_s=from_s, to_s=to_s, runner="local", settings=LOSSLESS
    )


def assert_holds(target: Path, source: Path, numbers: range) -> None:
    """The target holds just these frames of the source, counted from the first one's time."""
    before, after = decode_all(source)[numbers.start : numbers.stop], decode_all(target)
    assert len(after) == len(before) == len(numbers)
    times = [[(p.pts or 0) * (p.time_base or 0) for p in side] for side in (before, after)]
    assert times[1] == [time - times[0][0] for time in times[0]]
    for one, other in zip(before, after, strict=True):
        for plane, same in zip(planes(one), planes(other), strict=True):
            assert (plane == same).all()


@pytest.mark.parametrize(
    ("from_s", "to_s", "numbers"),
    [
        (0.4, 1.2, range(10, 30)),
        ("00:00.41", "0:01.19", range(11, 30)),
        (None, 1, range(25)),
        (1.5, None, range(38, 50)),
        (0, 0.04, range(1)),
    ],
)
@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_is_exact_to_the_frame(
    tmp_path: Path, name: str, from_s: float | str | None, to_s: float | str | None, numbers: range
) -> None:
    source = make_video(tmp_path / name, Video(frames=50, gop_frames=12, b_frames=2))
    target = tmp_path / "out.mp4"
    report = restore(source, target, from_s, to_s)
    assert report.videos[0].frames == len(numbers)
    assert report.videos[0].notes == ()
    assert_holds(target, source, numbers)


def test_variable_rate_with_a_late_start(tmp_path: Path) -> None:
    video = Video(pts=(5000, 5040, 5100, 5101, 5900, 5940, 7000), time_base=MILLISECONDS)
    source = make_video(tmp_path / "v.mkv", video)
    restore(source, tmp_path / "out.mp4", 0.05, 0.94)
    assert_holds(tmp_path / "out.mp4", source, range(2, 5))


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_sound_is_cut_with_the_pictures_and_stays_in_step(tmp_path: Path, name: str) -> None:
    video = Video(frames=50, audio=(AudioTrack(duration_s=2), AudioTrack("flac", duration_s=2)))
    source = make_video(tmp_path / name, video)
    target = tmp_path / f"out{source.suffix}"
    restore(source, target, 0.5, 1.5)
    start = next(time for p in decode_all(source) if (time := Fraction(p.time or 0)) >= 0.5)
    start = start.limit_denominator(1000)
    for index in (1, 2):
        wanted = [(t - start, data) for t, data in packets_of(source, index) if start <= t < 1.5]
        got = packets_of(target, index)
        assert [data for _, data in got] == [data for _, data in wanted]
        off = [abs(a - b) for (a, _), (b, _) in zip(got, wanted, strict=True)]
        assert max(off) <= Fraction(1, 1000)


def test_texts_and_chapters_are_cut_and_counted_from_the_start(tmp_path: Path) -> None:
    video = Video(
        frames=50,
        subtitles=(Subtitle(lines=((0, 300, "a"), (300, 800, "b"), (900, 1100, "c"))),),
        chapters=((0, 0.3, "one"), (0.3, 1.2, "two"), (1.2, 2, "three")),
    )
    source = make_video(tmp_path / "v.mkv", video)
    target = tmp_path / "out.mkv"
    restore(source, target, 0.4, 1)
    assert packets_of(target, 1) == [(Fraction(0), b"b"), (Fraction(1, 2), b"c")]
    with av.open(target) as container:
        chapters = [
            (c["start"] * (c["time_base"] or 0), c["end"] * (c["time_base"] or 0), c["metadata"])
            for c in container.chapters()
        ]
    assert chapters == [(0, Fraction(6, 10), {"title": "two"})]


def test_a_part_that_is_not_there_is_told(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4")
    with pytest.raises(NodeConfigError, match=r"last picture is at \d\.\d\d s, so nothing is left"):
        restore(source, tmp_path / "out.mp4", 60, None)
    with pytest.raises(GraphError, match="to_s: expected a time after the start, which is at 5 s"):
        restore(source, tmp_path / "out.mp4", 5, 3)
    with pytest.raises(GraphError, match="from_s"):
        restore(source, tmp_path / "out.mp4", "soon", None)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
    last_s = 0.44  # of 12 frames at 25 a second
    assert restore(source, tmp_path / "last.mp4", last_s, None).videos[0].frames == 1
