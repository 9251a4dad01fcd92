"""Sound that an output cannot hold as it is: converted sample by sample, with its gaps, or said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from nodes.encode import EncodeConfig
from pipeline.containers.formats import check_target
from pipeline.containers.mux import MuxReport, mux
from pipeline.containers.probe import scan_packets
from pipeline.containers.stream_plan import StreamPolicy
from tests.support.media import AudioTrack, Video, make_video, packets_of
from tests.support.transport import without_packets
from tests.support.video_nodes import decode, encode

SILENT = 1e-3


def restored(source: Path, suffix: str) -> tuple[Path, MuxReport]:
    """Decode, encode and mux as a job does, with what the job's scan finds."""
    info, frames, _ = decode(source)
    video, _ = encode(info, frames, source.parent / "work", EncodeConfig(codec="x264"))
    target = source.with_name(f"out{suffix}")
    policy = StreamPolicy(sounds=scan_packets(str(source)).sounds)
    return target, mux([video], str(source), target, info, policy=policy)


def heard(path: Path, index: int = 1) -> tuple[float, npt.NDArray[np.float64]]:
    """Return when a sound begins, and its samples from -1 to 1, one column a channel."""
    with av.open(path) as container:
        stream = container.streams[index]
        frames = [f for f in container.decode(stream) if isinstance(f, av.AudioFrame)]
    parts: list[npt.NDArray[np.float64]] = []
    for frame in frames:
        samples = frame.to_ndarray()
        if not frame.format.is_planar:
            samples = samples.reshape(-1, frame.layout.nb_channels).T
        full = 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
        parts.append(samples.T.astype(np.float64) / full)
    return float((frames[0].pts or 0) * (frames[0].time_base or 0)), np.concatenate(parts)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize(
    ("codec", "name", "rate_hz"),
    [
        ("adpcm_ima_wav", "v.avi", 8000),
        ("adpcm_ms", "v.avi", 8000),
        ("adpcm_yamaha", "v.avi", 8000),
        ("g726", "v.avi", 8000),
        ("g722", "v.avi", 16_000),
        ("wmav1", "v.asf", 44_100),
        ("wmav2", "v.asf", 44_100),
        ("pcm_mulaw", "v.nut", 8000),
        ("pcm_f32be", "v.nut", 48_000),
    ],
)
def test_sound_is_kept_sample_by_sample(
    tmp_path: Path, codec: str, name: str, rate_hz: int, suffix: str
) -> None:
    track = AudioTrack(
        codec, "mono", rate_hz, 1.0, bit_rate=64_000 if codec.startswith("wma") else None
    )
    source = make_video(tmp_path / name, Video(codec="mpeg4", frames=25, audio=(track,)))
    target, report = restored(source, suffix)
    assert not report.left_out
    (copied,) = report.copied
    assert copied.converted_to in (None, "alac", "flac"), copied
    before, after = heard(source)[1], heard(target)[1]
    assert len(after) == len(before)
    # 24 bits of what is decoded as floating-point numbers; all of the rest.
    assert np.abs(before - after).max() <= 2**-23


def with_gap(source: Path, target: Path, gap_s: Fraction) -> Path:
    """Copy a file, its sound and picture going on later from half a second on."""
    with av.open(source) as original, av.open(target, "w") as output:
        copies = [output.add_stream_from_template(s, opaque=True) for s in original.streams]
        for packet in original.demux():
            if packet.pts is None or packet.dts is None:
                continue
            later = round(gap_s / packet.time_base)
            if packet.pts * packet.time_base >= Fraction(1, 2):
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
            packet.stream = copies[packet.stream_index]
            output.mux(packet)
    return target


@pytest.mark.parametrize("gap_s", [0, 2], ids=["steady", "gap"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv", ".nut"])
@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw", "pcm_s16le"])
def test_sound_with_a_gap_stays_with_the_picture(
    tmp_path: Path, codec: str, suffix: str, gap_s: int
) -> None:
    track = AudioTrack(codec, "mono", 8000, 1.0)
    plain = make_video(tmp_path / "plain.nut", Video(codec="mpeg4", frames=25, audio=(track,)))
    source = with_gap(plain, tmp_path / "v.nut", Fraction(gap_s))
    target, report = restored(source, suffix)
    (copied,) = report.copied
    before, (_, after) = heard(plain)[1], heard(target)
    last_s = max(float(time) for time, _ in packets_of(target, 1))
    assert last_s > gap_s + 0.5
    assert not [note for note in report.notes if "from where it belongs" in note]
    if suffix == ".mov":
        assert (copied.converted_to is None) == (gap_s == 0)
    if copied.converted_to is None or not gap_s:
        assert np.array_equal(before, after)
        return
    cut = next(n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b) - 1
    while not before[cut].any() and cut:  # a sample of the tone that is silent itself
        cut -= 1
    silence = len(after) - len(before)
    assert silence == pytest.approx(gap_s * 8000, abs=8)
    assert np.array_equal(before[: cut + 1], after[: cut + 1])
    assert np.array_equal(before[-len(before) // 4 :], after[-len(before) // 4 :])
    assert np.abs(after[cut + 1 : cut + 1 + silence // 2]).max(initial=0) <= SILENT


@pytest.mark.parametrize("name", ["v.ts", "v.flv", "v.mpg", "v.mkv"])
def test_sound_that_begins_late_is_found(tmp_path: Path, name: str) -> None:
    codec, sound = ("mpeg2video", "mp2") if name == "v.mpg" else ("libx264", "aac")
    track = AudioTrack(sound, "mono", 44_100, 0.5, start_s=Fraction(12))
    video = Video(codec=codec, frames=325, audio=(track,))
    source = make_video(tmp_path / name, video)
    target, report = restored(source, ".mkv")
    (copied,) = report.copied
    assert copied.packets > 10
    assert heard(target)[0] == pytest.approx(12, abs=0.2)


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
def test_sound_that_is_only_announced_is_left_out(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "v.ts", Video(audio=(AudioTrack(),)))
    without_packets(source, 0x101)
    (problem,) = check_target(str(source), Path(f"out{suffix}"), "h264", StreamPolicy(sounds={}))
    assert problem.message == (
        "nothing is in audio stream 1 (aac), which the source announces: left out"
    )
    _, report = restored(source, suffix)
    assert report.left_out == ("stream 1, audio aac",)


def test_a_second_camera_goes_into_a_transport_stream(tmp_path: Path) -> None:
    one = make_video(tmp_path / "one.mp4", Video(frames=10))
    source = tmp_path / "v.mp4"
    with av.open(one) as first, av.open(one) as second, av.open(source, "w") as output:
        videos = [container.streams.video[0] for container in (first, second)]
        copies = [output.add_stream_from_template(video, opaque=True) for video in videos]
        for container, copy in zip((first, second), copies, strict=True):
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)
    target, report = restored(source, ".ts")
    assert (len(report.copied), report.left_out) == (1, ())
    assert len(packets_of(target, 1)) == 10
