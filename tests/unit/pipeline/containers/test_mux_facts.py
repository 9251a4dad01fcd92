"""Mux: what a file says and holds beside its pictures and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import pytest
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext

from nodes.encode.encoders import EncodeConfig
from pipeline.containers.mux import mux
from tests.support.media import AudioTrack, Video, decode_all, make_picture, make_video
from tests.support.video_nodes import decode, encode, round_trip

FFV1 = EncodeConfig(codec="ffv1")
X264 = EncodeConfig(codec="x264", options={"qp": "0"})


def _encoded_picture() -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 32, 32, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    return bytes(encoder.encode(make_picture(0, 32, 32, "yuvj420p"))[0])


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


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "restored"),
        ("by night", "by night; restored"),
        ("by night; restored", "by night; restored"),
    ],
)
def test_a_comment_is_added_to_the_files_own(
    tmp_path: Path, suffix: str, before: str | None, after: str
) -> None:
    video = Video(metadata={} if before is None else {"comment": before})
    source = make_video(tmp_path / "v.mkv", video)
    target, _ = round_trip(source, tmp_path, suffix, X264, comment="restored")
    with av.open(target) as container:
        told = {key.lower(): value for key, value in container.metadata.items()}
    assert told["comment"] == after


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
    assert report.notes == ()
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


def test_a_video_without_alpha_does_not_say_that_it_has_some(tmp_path: Path) -> None:
    source, target = tmp_path / "v.mkv", tmp_path / "out.mkv"
    with av.open(make_video(tmp_path / "plain.mkv")) as plain, av.open(source, "w") as output:
        copy = output.add_stream_from_template(plain.streams.video[0], opaque=True)
        copy.metadata.update({"alpha_mode": "1", "title": "Gate"})
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    info, frames, _ = decode(source)
    video, _ = encode(info, frames, tmp_path / "work")
    mux([video], str(source), target, info)
    with av.open(target) as made:
        facts = {key.lower(): value for key, value in made.streams.video[0].metadata.items()}
    assert facts["title"] == "Gate"
    assert "alpha_mode" not in facts
