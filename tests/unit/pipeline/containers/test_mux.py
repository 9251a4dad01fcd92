"""Decode, encode, mux: what comes out is what went in, but for the video's codec."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Literal

import av
import pytest
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext

from nodes.codecs import EncodeConfig
from nodes.errors import MediaError
from pipeline.containers import default_suffix
from pipeline.errors import OutputError
from pipeline.mux import MuxReport, mux
from tests.support.media import (
    AudioTrack,
    Subtitle,
    Video,
    decode_all,
    make_picture,
    make_video,
    packets_of,
    truncate,
)
from tests.support.video_nodes import decode, encode, same_pixels

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
    "sound.ts": (Video(b_frames=2, audio=(AudioTrack(),)), ".ts", X264),
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


def _encoded_picture() -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 32, 32, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    return bytes(encoder.encode(make_picture(0, 32, 32, "yuvj420p"))[0])


def round_trip(
    source: Path, work_dir: Path, suffix: str, config: EncodeConfig
) -> tuple[Path, MuxReport]:
    info, frames, _ = decode(source)
    video, encoded = encode(info, frames, work_dir / "work", config)
    target = work_dir / f"out{suffix}"
    report = mux(
        [video], str(source), target, info, last_duration_ticks=encoded["last_duration_ticks"]
    )
    return target, report


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


def test_chapters_metadata_languages_and_dispositions_are_kept(tmp_path: Path) -> None:
    video = Video(
        audio=(AudioTrack(language="eng"), AudioTrack(language="jpn")),
        metadata={"title": "Gate 4", "creation_time": "2021-03-04T05:06:07.000000Z"},
        chapters=((0, 0.2, "one"), (0.2, 0.48, "two")),
    )
    source = make_video(tmp_path / "v.mp4", video)

    target, report = round_trip(source, tmp_path, ".mp4", X264)

    with av.open(source) as before, av.open(target) as after:
        assert after.metadata["title"] == "Gate 4"
        assert after.metadata["creation_time"] == before.metadata["creation_time"]
        chapters = [(c["start"], c["metadata"]["title"]) for c in after.chapters()]
        assert chapters == [(c["start"], c["metadata"]["title"]) for c in before.chapters()]
        assert [s.language for s in after.streams.audio] == ["eng", "jpn"]
        assert [s.disposition for s in after.streams.audio] == [
            s.disposition for s in before.streams.audio
        ]
    assert report.chapters == 2


def test_metadata_that_mp4_has_no_word_for_is_kept(tmp_path: Path) -> None:
    video = Video(metadata={"camera_serial": "X-17", "title": "Gate 4"})
    source = make_video(tmp_path / "v.mkv", video)
    target, _ = round_trip(source, tmp_path, ".mp4", X264)
    with av.open(target) as container:
        kept = {key.lower(): value for key, value in container.metadata.items()}
    assert (kept["camera_serial"], kept["title"]) == ("X-17", "Gate 4")


def test_metadata_in_another_encoding_keeps_its_bytes(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(metadata={"title": "Straße"}))
    content = source.read_bytes()
    latin = "Straße".encode("latin-1") + b" "
    source.write_bytes(content.replace("Straße".encode(), latin))

    target, _ = round_trip(source, tmp_path, ".mkv", X264)

    assert latin in target.read_bytes()


def test_colour_tags_are_kept_where_the_codec_has_none(tmp_path: Path) -> None:
    video = Video(pix_fmt="yuv420p10le", color=(9, 1, 9, 16))
    source = make_video(tmp_path / "v.mp4", video)
    target, _ = round_trip(source, tmp_path, ".mkv", FFV1)
    picture = decode_all(target)[0]
    assert (picture.colorspace, picture.color_range) == (9, 1)
    assert (picture.color_primaries, picture.color_trc) == (9, 16)


@pytest.mark.parametrize("fields", ["tff", "bff"])
@pytest.mark.parametrize("config", [X264, FFV1, EncodeConfig(codec="x265")])
def test_field_order_is_kept(
    tmp_path: Path, fields: Literal["tff", "bff"], config: EncodeConfig
) -> None:
    source = make_video(tmp_path / "v.mkv", Video(fields=fields, frames=3))
    target, _ = round_trip(source, tmp_path, ".mkv", config)
    info, _, _ = decode(target)
    assert (info.interlaced, info.top_field_first) == (True, fields == "tff")


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation_is_kept(tmp_path: Path, rotation_deg: int, suffix: str) -> None:
    source = make_video(tmp_path / "v.mp4", Video(rotation_deg=rotation_deg, frames=3))
    target, _ = round_trip(source, tmp_path, suffix, X264)
    assert decode(target)[0].rotation_deg == rotation_deg


def test_a_mirrored_display_matrix_is_kept_number_by_number(tmp_path: Path) -> None:
    source = tmp_path / "v.mp4"
    matrix = [-65536, 0, 0, 0, 65536, 0, 64 * 65536, 0, 1 << 30]
    with av.open(source, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_matrix(matrix)
        container.mux(stream.encode(make_picture(0)))
        container.mux(stream.encode(None))

    target, _ = round_trip(source, tmp_path, ".mp4", X264)

    def display_matrix(path: Path) -> bytes:
        side_data = decode_all(path)[0].side_data
        return bytes(side_data["DISPLAYMATRIX"])  # pyright: ignore[reportGeneralTypeIssues]

    assert display_matrix(target) == display_matrix(source)


def test_attachments_are_kept_in_matroska_and_left_out_elsewhere_with_a_note(
    tmp_path: Path,
) -> None:
    video = Video(attachments=(("font.ttf", "font/ttf", b"not really a font"),))
    source = make_video(tmp_path / "v.mkv", video)

    target, report = round_trip(source, tmp_path, ".mkv", X264)
    with av.open(target) as container:
        (attachment,) = container.streams.attachments
        assert (attachment.name, attachment.data) == ("font.ttf", b"not really a font")
    assert report.left_out == ()

    _, report = round_trip(source, tmp_path, ".mp4", X264)
    assert report.left_out == ("stream 1, attachment font.ttf",)


@pytest.mark.parametrize(("suffix", "kept"), [(".mp4", True), (".mkv", True), (".mov", False)])
def test_a_cover_is_kept_or_told(tmp_path: Path, suffix: str, *, kept: bool) -> None:
    cover = _encoded_picture()
    source = tmp_path / "v.mp4"
    with av.open(make_video(tmp_path / "plain.mp4")) as plain, av.open(source, "w") as output:
        video = output.add_stream_from_template(plain.streams.video[0], opaque=True)
        picture = output.add_mux_stream("mjpeg", width=32, height=32)
        picture.disposition = Disposition.attached_pic
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = picture, 0, 0, True
        output.mux(packet)

    target, report = round_trip(source, tmp_path, suffix, X264)

    assert report.frames == 12
    assert report.left_out == (() if kept else ("stream 1, video mjpeg",))
    with av.open(target) as container:
        covers = [s for s in container.streams if s.disposition & Disposition.attached_pic]
        assert len(covers) == kept
        for stream in covers:
            assert [bytes(p) for p in container.demux(stream) if p.size] == [cover]


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_the_timecode_track_is_made_anew(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "v.mov"
    with av.open(make_video(tmp_path / "plain.mov")) as before, av.open(source, "w") as output:
        video = output.add_stream_from_template(before.streams.video[0], opaque=True)
        video.metadata["timecode"] = "01:02:03:04"
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)

    target, report = round_trip(source, tmp_path, suffix, X264)

    assert report.left_out == ()
    with av.open(target) as container:
        assert [s.type for s in container.streams] == ["video", "data"]
        assert container.streams.video[0].metadata["timecode"] == "01:02:03:04"


def test_the_chapter_track_of_quicktime_is_made_anew(tmp_path: Path) -> None:
    video = Video(chapters=((0, 0.2, "a"), (0.2, 0.4, "b")))
    source = make_video(tmp_path / "v.mov", video)

    target, report = round_trip(source, tmp_path, ".mov", X264)

    assert report.left_out == ()
    with av.open(target) as container:
        assert [s.type for s in container.streams] == ["video", "data"]
        assert [c["metadata"]["title"] for c in container.chapters()] == ["a", "b"]


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
    with pytest.raises(OutputError, match="cannot write") as caught:
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
