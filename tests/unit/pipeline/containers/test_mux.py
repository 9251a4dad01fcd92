"""Decode, encode, mux: what comes out is what went in, but for the video's codec."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import av
import pytest

from nodes.encode.encoders import EncodeConfig
from nodes.errors import MediaError, WriteError
from pipeline.containers.formats import default_suffix
from pipeline.containers.mux import mux
from tests.support.media import (
    AudioTrack,
    Subtitle,
    Video,
    decode_all,
    make_video,
    packets_of,
    truncate,
)
from tests.support.video_nodes import decode, encode, round_trip, same_pixels

FFV1 = EncodeConfig(codec="ffv1")
X264 = EncodeConfig(codec="x264", options={"qp": "0"})
REORDERED = EncodeConfig(codec="x264", options={"bf": "3", "b_strategy": "0"})

MILLISECONDS = Fraction(1, 1000)
VARIABLE = (0, 40, 100, 101, 900, 940, 990, 2000)

CASES: dict[str, tuple[Video, str, EncodeConfig]] = {
    "constant.mp4": (Video(), ".mp4", X264),
    "b_frames.mp4": (Video(b_frames=2, audio=(AudioTrack(),)), ".mp4", X264),
    "variable.mp4": (Video(pts=VARIABLE, time_base=MILLISECONDS, b_frames=2), ".mp4", X264),
    "late.mp4": (
        Video(pts=(1000, 1040, 1080), time_base=MILLISECONDS, audio=(AudioTrack(),)),
        ".mp4",
        X264,
    ),
    "sound_first.mp4": (
        Video(pts=(500, 540), time_base=MILLISECONDS, audio=(AudioTrack(),)),
        ".mp4",
        X264,
    ),
    "ten_bit.mp4": (Video(codec="libx265", pix_fmt="yuv420p10le"), ".mp4", X264),
    "turned.mkv": (
        Video(codec="prores_ks", pix_fmt="yuv422p10le", rotation_deg=90),
        ".mkv",
        FFV1,
    ),
    "fields.ts": (Video(fields="bff", audio=(AudioTrack(),)), ".ts", X264),
    "pcm.mov": (Video(audio=(AudioTrack("pcm_s16le", "mono"),)), ".mov", X264),
    "two_sounds.mkv": (
        Video(
            audio=(AudioTrack(language="eng"), AudioTrack("libopus", "5.1", language="fre")),
            subtitles=(Subtitle(language="ger"),),
        ),
        ".mkv",
        FFV1,
    ),
    "variable.mkv": (Video(pts=VARIABLE, time_base=MILLISECONDS), ".mkv", X264),
    "gray_444.mkv": (Video(codec="ffv1", pix_fmt="gray10le", width_px=65), ".mkv", FFV1),
    "odd.mkv": (
        Video(pix_fmt="yuv444p", width_px=161, height_px=121, sample_aspect_ratio=Fraction(4, 3)),
        ".mkv",
        X264,
    ),
    "sound.ts": (
        Video(b_frames=2, audio=(AudioTrack(),)),
        ".ts",
        X264.model_copy(update={"keep_start": True}),
    ),
    "opus.webm": (
        Video(codec="libvpx-vp9", audio=(AudioTrack("libopus"),)),
        ".webm",
        EncodeConfig(codec="vp9", options={"lossless": "1"}),
    ),
    "g711.avi": (
        Video(codec="mpeg4", audio=(AudioTrack("pcm_mulaw", "mono", 8000),)),
        ".mov",
        X264,
    ),
    "raw.h264": (Video(b_frames=2), ".mkv", X264),
    "long_sound.mp4": (Video(frames=5, audio=(AudioTrack(duration_s=2),)), ".mp4", X264),
}


@pytest.mark.parametrize("name", CASES)
def test_frames_times_pixels_and_sound_come_through(tmp_path: Path, name: str) -> None:
    video, suffix, config = CASES[name]
    source = make_video(tmp_path / name, video)
    info, frames, _ = decode(source)

    target, report = round_trip(source, tmp_path, suffix, config)

    out_info, out_frames, _ = decode(target)
    assert [frame.pts * out_info.time_base for frame in out_frames] == [
        frame.pts * info.time_base for frame in frames
    ]
    assert same_pixels((f.picture for f in out_frames), (f.picture for f in frames))
    assert (report.frames, report.shift_s, report.max_deviation_s) == (len(frames), 0, 0)
    assert report.left_out == ()
    for field in ("width_px", "height_px", "pix_fmt", "rotation_deg"):
        assert getattr(out_info, field) == getattr(info, field), field
    # Lossless FFV1 in Matroska says nothing of square pixels; that is what 1 means here.
    assert out_info.sample_aspect_ratio == info.sample_aspect_ratio
    assert [copied.kind for copied in report.copied] == ["audio"] * len(video.audio) + [
        "subtitle"
    ] * len(video.subtitles)
    for copied in report.copied:
        assert packets_of(target, copied.target_index) == packets_of(source, copied.source_index)
        assert copied.packets > 0
        assert copied.retimed_packets == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".nut"])
def test_reordered_packets_are_shown_when_they_should_be(tmp_path: Path, suffix: str) -> None:
    video = Video(pts=VARIABLE, time_base=MILLISECONDS)
    source = make_video(tmp_path / "v.mkv", video)

    target, report = round_trip(source, tmp_path, suffix, REORDERED)

    with av.open(target) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert [p.pts for p in packets] != sorted(p.pts or 0 for p in packets), "nothing was reordered"
    times = [p.dts for p in packets if p.dts is not None]
    assert times == sorted(set(times))
    assert all(p.dts is None or p.pts is None or p.dts <= p.pts for p in packets)
    assert [picture.time for picture in decode_all(target)] == [time / 1000 for time in VARIABLE]
    assert report.max_deviation_s == 0


def test_a_coarser_clock_takes_the_nearest_tick_and_tells(tmp_path: Path) -> None:
    video = Video(rate=Fraction(30000, 1001), frames=30)
    source = make_video(tmp_path / "v.mp4", video)

    target, report = round_trip(source, tmp_path, ".mkv", X264)

    exact = [Fraction(1001 * number, 30000) for number in range(30)]
    got = [picture.pts for picture in decode_all(target)]
    assert got == [floor(time * 1000 + Fraction(1, 2)) for time in exact]
    assert report.time_base == "1/1000"
    assert 0 < report.max_deviation_s <= 0.0005


def test_a_clock_that_cannot_start_so_early_shifts_all_streams_alike(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(audio=(AudioTrack("libopus"),)))

    target, report = round_trip(source, tmp_path, ".ts", X264)

    assert report.shift_s > 0
    shift = Fraction(report.shift_s).limit_denominator(90_000)
    with av.open(target) as container:
        assert container.streams.video[0].time_base == Fraction(1, 90_000)
    first = decode_all(target)[0]
    assert first.pts == shift * 90_000
    sound = [time for time, _ in packets_of(source, 1)]
    assert [time - shift for time, _ in packets_of(target, 1)] == sound


def test_the_last_frame_is_shown_as_long_as_before(tmp_path: Path) -> None:
    video = Video(pts=(0, 40, 80), time_base=MILLISECONDS, last_duration_ticks=1500)
    source = make_video(tmp_path / "v.mp4", video)

    target, _ = round_trip(source, tmp_path, ".mp4", X264)

    with av.open(target) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.duration * stream.time_base == Fraction(1580, 1000)


def test_a_cut_short_source_gives_what_it_holds(tmp_path: Path) -> None:
    video = Video(
        frames=50,
        audio=(AudioTrack(duration_s=2),),
        container_options={"movflags": "faststart"},
    )
    source = truncate(make_video(tmp_path / "v.mp4", video), 0.6)

    target, report = round_trip(source, tmp_path, ".mp4", X264)

    assert 10 < report.frames < 50
    assert len(decode_all(target)) == report.frames
    assert report.copied[0].packets > 10


def test_packets_are_interleaved_by_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=50, audio=(AudioTrack(duration_s=2),)))
    target, _ = round_trip(source, tmp_path, ".mkv", X264)
    with av.open(target) as container:
        times = [float(p.pts * p.time_base) for p in container.demux() if p.pts is not None]
    late = [before - after for before, after in pairwise(times)]
    assert max(late) < 0.5


def test_mp4_starts_with_its_index(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=2))
    target, _ = round_trip(source, tmp_path, ".mp4", X264)
    content = target.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_container_may_be_given_apart_from_the_name(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=2))
    info, frames, _ = decode(source)
    video, _ = encode(info, frames, tmp_path / "work", X264)
    target = tmp_path / "v.mp4.part"

    report = mux([video], str(source), target, info, container="mp4")

    assert report.container == "mp4"
    with av.open(target) as container:
        assert "mp4" in container.format.name


def test_hevc_in_mp4_carries_the_tag_that_players_want(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=3))
    target, _ = round_trip(source, tmp_path, ".mp4", EncodeConfig(codec="x265"))
    with av.open(target) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_a_target_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=2))
    info, frames, _ = decode(source)
    video, _ = encode(info, frames, tmp_path / "work", X264)
    with pytest.raises(WriteError, match="cannot write") as caught:
        mux([video], str(source), tmp_path / "nowhere" / "out.mp4", info)
    assert "\n" not in str(caught.value)


def test_an_encoded_file_without_frames_is_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=2))
    info, _, _ = decode(source)
    video, _ = encode(info, [], tmp_path / "work", X264)
    with pytest.raises(MediaError):
        mux([video], str(source), tmp_path / "out.mp4", info)


def test_a_scaled_video_keeps_everything_else(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(rotation_deg=90, audio=(AudioTrack(),)))
    info, frames, _ = decode(source)
    large = replace(info, width_px=128, height_px=96)
    video, _ = encode(
        large,
        [replace(f, picture=f.picture.reformat(128, 96)) for f in frames],
        tmp_path / "work",
    )

    target = tmp_path / "out.mp4"
    mux([video], str(source), target, large)

    out, out_frames, _ = decode(target)
    assert (out.width_px, out.height_px, out.rotation_deg) == (128, 96, 90)
    assert [f.pts * out.time_base for f in out_frames] == [f.pts * info.time_base for f in frames]


def test_the_default_container_holds_what_is_in_the_source(tmp_path: Path) -> None:
    for name, (video, suffix, _) in CASES.items():
        source = make_video(tmp_path / name, replace(video, frames=2))
        codec = {".webm": "vp9"}.get(suffix, "h264")
        chosen, reason = default_suffix(str(source), codec)
        assert chosen == suffix, name
        assert (reason is None) == (chosen == source.suffix)
