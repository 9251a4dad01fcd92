"""A stream that the output cannot hold is converted, or the run refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

import pipeline
from nodes.errors import NodeConfigError
from pipeline.errors import OutputError
from pipeline.job.report import VideoReport
from tests.support.media import AudioTrack, Subtitle, Video, make_video, packets_of

pytestmark = pytest.mark.filterwarnings("default")


def run(source: Path, target: Path, *settings: str) -> VideoReport:
    off = ("enhance.weights=bicubic", "run.threads=1")
    report = pipeline.enhance(source, target, runner="local", settings=(*off, *settings))
    return report.videos[0]


def heard(path: Path, index: int) -> tuple[float, npt.NDArray[np.float64]]:
    """Return when a sound begins, and its samples at 8 kHz, mono."""
    resampler = av.AudioResampler("fltp", "mono", 8000)
    with av.open(path) as container:
        decoded = container.decode(container.streams[index])
        frames = [frame for frame in decoded if isinstance(frame, av.AudioFrame)]
    start = (frames[0].pts or 0) * (frames[0].time_base or Fraction(0))
    parts = [made.to_ndarray()[0] for frame in frames for made in resampler.resample(frame)]
    return float(start), np.concatenate(parts)


def test_one_sound_is_converted_and_the_rest_is_copied(tmp_path: Path) -> None:
    telephone = AudioTrack("pcm_mulaw", "mono", 8000, 1.0)
    source = make_video(tmp_path / "in.mov", Video(frames=25, audio=(telephone, AudioTrack())))
    target = tmp_path / "out.mp4"
    offer = r"cannot hold audio stream 1 \(pcm_mulaw\): .*\.mov, or --set encode\.convert\.1=alac"
    with pytest.raises(OutputError, match=offer):
        run(source, target, "encode.other_streams=refuse")

    report = run(source, target, "encode.convert.1=aac")

    converted = [(c["codec"], c["converted_to"]) for c in report.mux["copied"]]
    assert converted == [("pcm_mulaw", "aac"), ("aac", None)]
    assert [data for _, data in packets_of(target, 2)] == [
        data for _, data in packets_of(source, 2)
    ]
    (start_s, before), (new_start_s, after) = heard(source, 1), heard(target, 1)
    assert new_start_s == pytest.approx(start_s, abs=0.13)
    skipped = round((new_start_s - start_s) * 8000)
    length = min(len(before), len(after) + skipped) - 800
    one, other = before[800:length], after[800 - skipped : length - skipped]
    assert np.corrcoef(one, other)[0, 1] > 0.98


def test_texts_are_converted_with_their_times(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", Video(subtitles=(Subtitle(),), audio=(AudioTrack(),)))
    target = tmp_path / "out.mp4"
    index = next(i for i in (1, 2) if packets_of(source, i)[0][1] == b"hello")
    run(source, target, f"encode.convert.{index}=mov_text")
    texts = [(time, data[2:]) for time, data in packets_of(target, index) if data != b"\0\0"]
    assert texts == [(0, b"hello"), (Fraction(1, 5), b"world")]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("encode.convert.7=aac", r"no stream 7 beside the video; expected: 1 \(audio\)"),
        (
            "encode.convert.1=mov_text",
            r"stream 1 \(aac\) cannot become mov_text in \.mp4; try alac",
        ),
        ("encode.convert.1=acc", r"audio stream 1 \(aac\) cannot become acc in \.mp4; try alac"),
    ],
)
def test_a_conversion_that_cannot_be(tmp_path: Path, setting: str, message: str) -> None:
    source = make_video(tmp_path / "in.mp4", Video(audio=(AudioTrack(),)))
    with pytest.raises(NodeConfigError, match=message):
        run(source, tmp_path / "out.mp4", setting)
    assert not (tmp_path / "out.mp4").exists()
