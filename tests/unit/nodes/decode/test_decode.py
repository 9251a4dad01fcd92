"""Decode: every frame, its own pixels and times; damage and oddities told, never silent."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import pytest
from av.error import FFmpegError

from nodes.decode import Decode
from nodes.errors import MediaError
from tests.support.media import (
    AudioTrack,
    Video,
    corrupt_packets,
    decode_all,
    make_audio,
    make_picture,
    make_video,
    truncate,
)
from tests.support.video_nodes import decode, same_pixels

MILLISECONDS = Fraction(1, 1000)

PLAIN = {
    "h264.mp4": Video(),
    "h264_b_frames.mp4": Video(b_frames=3, frames=20),
    "h264_b_frames.ts": Video(b_frames=2, audio=(AudioTrack(),)),
    "hevc_10_bit.mkv": Video(codec="libx265", pix_fmt="yuv420p10le", b_frames=2),
    "prores.mov": Video(codec="prores_ks", pix_fmt="yuv422p10le"),
    "vp9.webm": Video(codec="libvpx-vp9", audio=(AudioTrack("libopus"),)),
    "av1.mp4": Video(codec="libsvtav1", width_px=66, height_px=66, frames=4),
    "mpeg4.avi": Video(codec="mpeg4"),
    "mpeg2.mpg": Video(codec="mpeg2video", b_frames=2),
    "mjpeg.avi": Video(codec="mjpeg", pix_fmt="yuvj420p"),
    "odd_size_444.mp4": Video(pix_fmt="yuv444p", width_px=321, height_px=241, frames=3),
    "422.mkv": Video(pix_fmt="yuv422p", width_px=322, height_px=241, frames=3),
    "gray_10_bit.mkv": Video(codec="ffv1", pix_fmt="gray10le"),
    "16_bit.mkv": Video(codec="ffv1", pix_fmt="yuv420p16le"),
    "variable_rate.mp4": Video(pts=(0, 40, 100, 101, 900), time_base=MILLISECONDS, b_frames=2),
    "starts_late.mkv": Video(pts=tuple(range(5000, 5400, 40)), time_base=MILLISECONDS),
    "damaged_nowhere.nut": Video(codec="ffv1", time_base=Fraction(1001, 30000)),
}


@pytest.fixture(autouse=True)
def _quiet_svt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVT_LOG", "1")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", PLAIN)
def test_gives_every_frame_with_its_own_pixels_and_times(
    tmp_path: Path, name: str, threads: int
) -> None:
    path = make_video(tmp_path / name, PLAIN[name])
    expected = decode_all(path)

    info, frames, report = decode(path, threads=threads)

    assert [frame.pts for frame in frames] == [picture.pts for picture in expected]
    assert {frame.picture.time_base for frame in frames} == {info.time_base}
    assert [frame.index for frame in frames] == list(range(len(expected)))
    assert same_pixels((frame.picture for frame in frames), expected)
    assert len(frames) == len(PLAIN[name].pts or range(PLAIN[name].frames))
    assert report["frames"] == len(frames)
    assert report["damage"]["count"] == 0
    assert report["synthesised_pts"]["first_frames"] == []
    assert report["conversions"] == []
    assert not report["ended_early"]
    assert report["warnings"] == []
    json.dumps(report)


def test_describes_the_video(tmp_path: Path) -> None:
    video = Video(
        pix_fmt="yuv420p10le",
        rate=Fraction(30000, 1001),
        sample_aspect_ratio=Fraction(4, 3),
        color=(9, 1, 9, 16),
        audio=(AudioTrack(duration_s=3),),
    )

    info, _, _ = decode(make_video(tmp_path / "v.mp4", video))

    assert (info.width_px, info.height_px, info.pix_fmt) == (64, 48, "yuv420p10le")
    assert (info.codec_name, info.bit_depth, info.interlaced) == ("h264", 10, False)
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert info.average_rate == Fraction(30000, 1001)
    assert (info.color.matrix, info.color.range) == (9, 1)
    assert (info.color.primaries, info.color.transfer) == (9, 16)
    assert info.frame_count_hint == 12
    assert info.duration_s == pytest.approx(12 * 1001 / 30000)


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.ts", "v.mpg"])
@pytest.mark.parametrize("fields", ["tff", "bff"])
def test_interlaced_video_is_known_with_its_field_order(
    tmp_path: Path, name: str, fields: Literal["tff", "bff"]
) -> None:
    codec = "mpeg2video" if name == "v.mpg" else "libx264"
    info, _, _ = decode(make_video(tmp_path / name, Video(codec=codec, fields=fields)))
    assert info.interlaced
    assert info.top_field_first == (fields == "tff")


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_rotation_is_the_clockwise_turn_of_the_player(tmp_path: Path, rotation_deg: int) -> None:
    path = make_video(tmp_path / "v.mp4", Video(rotation_deg=rotation_deg, frames=2))
    info, _, _ = decode(path)
    assert info.rotation_deg == rotation_deg


def test_a_portrait_telephone_video_turns_clockwise(tmp_path: Path) -> None:
    # The track matrix of a phone held upright: x right becomes y down. Players turn it clockwise.
    path = tmp_path / "v.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_matrix([0, 65536, 0, -65536, 0, 0, 48 * 65536, 0, 1 << 30])
        container.mux(stream.encode(make_picture(0)))
        container.mux(stream.encode(None))
    assert decode(path)[0].rotation_deg == 90


def test_missing_times_are_made_from_the_average_rate(tmp_path: Path) -> None:
    info, frames, report = decode(make_video(tmp_path / "v.h264", Video(b_frames=2)))

    step = 1 / (25 * info.time_base)
    assert [frame.pts for frame in frames] == [number * step for number in range(12)]
    assert report["synthesised_pts"]["missing"] == 12
    assert report["synthesised_pts"]["first_frames"][:3] == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_avi_with_reordered_frames_is_regular(tmp_path: Path, threads: int) -> None:
    path = make_video(tmp_path / "v.avi", Video(codec="mpeg4", b_frames=2, frames=14))
    _, frames, _ = decode(path, threads=threads)
    assert [frame.pts for frame in frames] == list(range(14))


def test_repeated_and_backward_times_are_moved_and_good_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "v.nut"
    make_video(path, Video(codec="ffv1", pts=(0, 40, 80, 120, 160), time_base=MILLISECONDS))
    _retime(path, [0, 40, 40, 120, 100])

    info, frames, report = decode(path)

    assert [float(frame.pts * info.time_base) for frame in frames] == [0, 0.04, 0.06, 0.12, 0.14]
    assert report["synthesised_pts"]["repeated_or_backward"] == 2
    assert report["synthesised_pts"]["first_frames"] == [2, 4]


@pytest.mark.parametrize("threads", [1, 3])
def test_damage_in_the_middle_is_told_and_does_not_stop(tmp_path: Path, threads: int) -> None:
    video = Video(frames=30, gop_frames=6, width_px=160, height_px=120)
    path = corrupt_packets(make_video(tmp_path / "v.mp4", video), [8, 9])

    _, frames, report = decode(path, threads=threads)

    assert len(frames) + report["damage"]["count"] >= 30
    assert frames[-1].pts == 29 * 512
    assert report["damage"]["count"] >= 2
    first = report["damage"]["events"][0]
    assert first["before_frame"] in (8, 9)
    assert first["time_s"] == pytest.approx(0.32, abs=0.05)
    assert "damaged in" in report["warnings"][0]
    assert f"before frame {first['before_frame']}" in report["warnings"][0]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_a_file_cut_short_gives_what_it_holds(tmp_path: Path, threads: int, b_frames: int) -> None:
    video = Video(frames=30, b_frames=b_frames, container_options={"movflags": "faststart"})
    path = truncate(make_video(tmp_path / "v.mp4", video), 0.7)
    expected = _all_that_decodes(path)

    _, frames, report = decode(path, threads=threads)

    assert [frame.pts for frame in frames] == expected
    assert 15 < len(frames) < 30
    assert report["ended_early"]
    assert report["damage"]["count"] >= 1
    assert report["container_frame_count"] == 30
    lost = f"{30 - len(frames)} of the 30 frames it claims could not be decoded"
    assert any(lost in warning for warning in report["warnings"])
    assert any("cut off" in warning for warning in report["warnings"])


@pytest.mark.parametrize("name", ["v.mkv", "v.webm", "v.mp4", "v.ts"])
def test_a_last_picture_that_is_shown_long_is_no_cut(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name == "v.webm" else "libx264"
    path = make_video(tmp_path / name, Video(codec=codec, last_duration_ticks=100))
    _, frames, report = decode(path)
    assert (len(frames), report["ended_early"], report["warnings"]) == (12, False, [])


def test_matroska_cut_between_packets_is_told(tmp_path: Path) -> None:
    path = truncate(make_video(tmp_path / "v.mkv", Video(frames=24)), 0.6)
    _, frames, report = decode(path)
    assert 6 < len(frames) < 24
    assert report["ended_early"]


def test_pictures_that_cannot_be_edited_are_converted_and_told(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mov", Video(codec="png", pix_fmt="rgb24", frames=3))

    info, frames, report = decode(path)

    assert (info.pix_fmt, info.bit_depth) == ("yuv444p", 8)
    assert (info.color.matrix, info.color.range) == (1, 2)
    assert {frame.picture.format.name for frame in frames} == {"yuv444p"}
    assert report["conversions"] == [
        {"what": "64x48 rgb24 to 64x48 yuv444p", "frames": 3, "same_size": True}
    ]
    assert report["format_warnings"] == report["warnings"]
    back = frames[0].picture.reformat(
        format="rgb24", src_colorspace=1, src_color_range=2, dst_color_range=2
    )
    difference = back.to_ndarray().astype(int) - decode_all(path)[0].to_ndarray().astype(int)
    assert abs(difference).max() <= 2


def test_alpha_is_dropped_and_the_colours_are_not_touched(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", Video(codec="ffv1", pix_fmt="yuva420p", frames=2))

    info, frames, report = decode(path)

    assert info.pix_fmt == "yuv420p"
    plain = [make_picture(number, pix_fmt="yuva420p") for number in range(2)]
    for frame, picture in zip(frames, plain, strict=True):
        for got, sent in zip(frame.picture.planes, picture.planes[:3], strict=True):
            rows = range(got.height)
            kept = [bytes(got)[r * got.line_size :][: got.width] for r in rows]
            assert kept == [bytes(sent)[r * sent.line_size :][: sent.width] for r in rows]
    assert report["conversions"][0]["frames"] == 2


def test_a_size_change_in_mid_stream_is_brought_to_the_first_size(tmp_path: Path) -> None:
    path = tmp_path / "v.h264"
    small = make_video(tmp_path / "a.h264", Video(frames=4)).read_bytes()
    large = make_video(tmp_path / "b.h264", Video(frames=5, width_px=96)).read_bytes()
    path.write_bytes(small + large)

    info, frames, report = decode(path)

    assert (info.width_px, len(frames)) == (64, 9)
    assert {frame.picture.width for frame in frames} == {64}
    assert report["conversions"] == [
        {"what": "96x48 yuv420p to 64x48 yuv420p", "frames": 5, "same_size": False}
    ]
    assert report["format_warnings"] == []


def test_conversions_of_segments_are_told_once_and_without_their_warm_up(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mov", Video(codec="png", pix_fmt="rgb24", frames=12))
    info, frames, _ = decode(path)
    starts = [None, frames[4].pts, frames[8].pts, None]
    warmups = [None, frames[1].pts, frames[5].pts]
    reports = [
        decode(path, start_pts=start, end_pts=end, warmup_pts=warmup)[2]
        for start, end, warmup in zip(starts, starts[1:], warmups, strict=False)
    ]
    merged = Decode.merge_reports(reports)

    what = f"64x48 rgb24 to 64x48 {info.pix_fmt}"
    assert [report["warmup_frames"] for report in reports] == [0, 3, 3]
    assert merged["conversions"] == [{"what": what, "frames": 12, "same_size": True}]
    assert merged["format_warnings"] == merged["warnings"] == [f"{what} in 12 frames"]


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts", "v.avi"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_segments_hold_each_frame_exactly_once(tmp_path: Path, name: str, b_frames: int) -> None:
    codec = "mpeg4" if name == "v.avi" else "libx264"
    video = Video(codec=codec, frames=60, gop_frames=10, b_frames=b_frames)
    path = make_video(tmp_path / name, video)
    _, whole, _ = decode(path)
    cuts = [whole[number].pts for number in (10, 20, 33, 50)]

    parts = [
        frame
        for start, end in zip([None, *cuts], [*cuts, None], strict=True)
        for frame in decode(path, start_pts=start, end_pts=end)[1]
    ]

    assert [frame.pts for frame in parts] == [frame.pts for frame in whole]
    assert same_pixels((f.picture for f in parts), (f.picture for f in whole))


def _retime(path: Path, times_ms: list[int]) -> None:
    """Write the packets of `path` again with other times, in a container that checks none."""
    with av.open(path) as container:
        payloads = [bytes(p) for p in container.demux(video=0) if p.size]
        template = container.streams.video[0]
        with av.open(path.with_suffix(".new"), "w", format="nut") as output:
            stream = output.add_stream_from_template(template, opaque=True)
            stream.time_base = MILLISECONDS
            for number, (payload, time_ms) in enumerate(zip(payloads, times_ms, strict=True)):
                packet = av.Packet(payload)
                packet.stream, packet.time_base = stream, MILLISECONDS
                packet.pts, packet.dts, packet.is_keyframe = time_ms, number, True
                output.mux(packet)
    path.with_suffix(".new").replace(path)


def _all_that_decodes(path: Path) -> list[int | None]:
    """Return the times of the pictures that one thread gets out of a damaged file."""
    times: list[int | None] = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                times += [picture.pts for picture in packet.decode()]
            except FFmpegError:
                continue
    return times


def _write_text(path: Path) -> None:
    path.write_text("This is no video.\n" * 50)


def _write_lyrics(path: Path) -> None:
    path.write_text("[00:01.00] libav takes this for subtitles\n[00:02.00] twice\n")


def _write_audio(path: Path) -> None:
    make_audio(path)


def _write_headless(path: Path) -> None:
    truncate(make_video(path, Video()), 0.5)


def _write_nothing(path: Path) -> None:
    path.touch()


def _write_folder(path: Path) -> None:
    path.mkdir()


def _leave_out(path: Path) -> None:
    del path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_write_text, "not a media file"),
        (_write_lyrics, "not a media file"),
        (_write_audio, "contains no video, only audio"),
        (_write_headless, "header is missing or damaged"),
        (_write_nothing, "empty"),
        (_write_folder, "folder"),
        (_leave_out, "no such file"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "v.mp4"
    assert callable(make)
    make(path)

    with pytest.raises(MediaError) as caught:
        decode(path)

    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_video_without_one_decodable_picture_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", Video(frames=1, width_px=160, height_px=120))
    with av.open(path) as container:
        (packet,) = [p for p in container.demux(video=0) if p.size]
        position, size = packet.pos, packet.size
    assert position is not None
    content = path.read_bytes()
    path.write_bytes(content[:position] + bytes(size) + content[position + size :])

    with pytest.raises(MediaError, match="no picture could be decoded"):
        decode(path)
