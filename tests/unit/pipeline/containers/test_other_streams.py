"""The streams beside the video: copied, converted or left out, in one way for files and pipes."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video import VideoStream
from PIL import Image

from nodes.errors import NodeConfigError
from nodes.media.open import open_media, video_stream
from pipeline.containers.other_streams import CopiedStream, OtherStreams
from pipeline.containers.stream_plan import StreamPolicy
from tests.support.media import AudioTrack, Subtitle, Video, make_video, packets_of

FULL = Video(
    audio=(AudioTrack(), AudioTrack("pcm_s16le", "mono", 8000)),
    subtitles=(Subtitle(),),
    attachments=(("font.ttf", "font/ttf", b"a font"),),
)
"""Streams 0 to 4: video, sound, sound, text, attachment."""


COPY = StreamPolicy(mode="copy", sounds={})


@contextmanager
def opened(
    source: Path, target: Path, container: str, policy: StreamPolicy = COPY
) -> Generator[tuple[OtherStreams, list[Packet[Stream]]]]:
    """Give the streams of an output whose header is written, and the source's packets for them."""
    with open_media(str(source)) as original, av.open(target, "w", format=container) as output:
        main = video_stream(original, str(source))
        others = OtherStreams(original, main, output, container, policy)

        def add_video() -> VideoStream:
            return output.add_stream_from_template(main, opaque=True)

        video = others.add_streams(add_video)
        output.start_encoding()
        packets: list[Packet[Stream]] = []
        for packet in original.demux():
            if packet.stream is main and packet.size:
                packet.stream = video
                output.mux(packet)
            elif packet.size:
                packets.append(packet)
        yield others, packets
        others.finish()


def take(
    source: Path, target: Path, container: str, **convert: str
) -> tuple[OtherStreams, list[int]]:
    """Write a whole file; return its streams, and the numbers of those whose packets are wanted."""
    codecs = {int(key.removeprefix("s")): codec for key, codec in convert.items()}
    with opened(source, target, container, replace(COPY, convert=codecs)) as (others, packets):
        read = [stream.index for stream in others.read]
        for packet in packets:
            others.write(packet)
    return others, read


def test_each_is_copied_converted_or_left_out_in_the_sources_order(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", FULL)
    target = tmp_path / "out.mp4"

    others, read = take(source, target, "mp4", s2="aac")

    assert read == [1, 2]
    assert others.left_out == ["stream 3, subtitle subrip", "stream 4, attachment font.ttf"]
    assert [(c.source_index, c.target_index, c.converted_to) for c in others.copied] == [
        (1, 1, None),
        (2, 2, "aac"),
    ]
    with av.open(target) as container:
        kinds = [(s.type, s.codec_context.codec.canonical_name) for s in container.streams]
    assert kinds == [("video", "h264"), ("audio", "aac"), ("audio", "aac")]
    sound = packets_of(source, 1)
    assert [data for _, data in packets_of(target, 1)] == [data for _, data in sound]
    assert others.copied[0].packets == len(sound)
    # Half a second at 8 kHz, the last of it held back by the encoder until the end.
    assert len(packets_of(target, 2)) >= 4000 / 1024


def test_matroska_takes_them_all_and_attachments_too(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", FULL)
    others, read = take(source, tmp_path / "out.mkv", "matroska")
    assert read == [1, 2, 3]
    assert others.left_out == []
    assert [copied.kind for copied in others.copied] == ["audio", "audio", "subtitle", "attachment"]
    with av.open(tmp_path / "out.mkv") as container:
        assert container.streams.attachments[0].data == b"a font"


def test_a_cover_of_a_source_that_is_read_once_is_copied_as_it_comes(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mkv"
    with av.open(make_video(tmp_path / "plain.mp4")) as plain, av.open(source, "w") as output:
        video = output.add_stream_from_template(plain.streams.video[0], opaque=True)
        picture = output.add_mux_stream("mjpeg", width=32, height=32)
        picture.disposition = Disposition.attached_pic
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        content = io.BytesIO()
        Image.new("RGB", (32, 32), "red").save(content, "JPEG")
        cover = av.Packet(content.getvalue())
        cover.stream, cover.pts, cover.dts = picture, 0, 0
        output.mux(cover)

    others, read = take(source, target, "matroska")

    assert (read, others.left_out) == ([1], [])
    assert [data for _, data in packets_of(target, 1)] == [content.getvalue()]


def test_raw_pictures_in_a_pipe_have_nothing_beside_them(tmp_path: Path) -> None:
    video = Video(codec="rawvideo", audio=(AudioTrack("pcm_s16le"),))
    source = make_video(tmp_path / "in.nut", video)
    others, _ = take(source, tmp_path / "out.y4m", "yuv4mpegpipe")
    assert others.left_out == ["stream 1, audio pcm_s16le"]


def test_packets_of_a_stream_that_is_left_out_are_not_written(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", FULL)
    with opened(source, tmp_path / "out.mp4", "mp4") as (others, _):
        with av.open(source) as again:
            for packet in again.demux(subtitles=0):
                others.write(packet)
        assert "subtitle" not in {copied.kind for copied in others.copied}


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
def test_times_that_stand_still_or_go_back_are_moved_up_and_counted(
    tmp_path: Path, container: str
) -> None:
    source = make_video(tmp_path / "in.mkv", Video(audio=(AudioTrack(),)))
    target = tmp_path / "out"
    with opened(source, target, container) as (others, packets):
        sent = [bytes(packet) for packet in packets]
        start = packets[5].dts or 0
        for number, packet in enumerate(packets):
            if number in (6, 7):
                packet.dts = packet.pts = start - 20 * (number - 6)
            if number == 9:
                packet.dts = None
            if number == 10:
                packet.pts = None
            others.write(packet)
        (copied,) = others.copied
    assert (copied.packets, copied.retimed_packets) == (len(sent), 2)
    with av.open(target) as made:
        got = [p for p in made.demux(audio=0) if p.size]
    if container != "mpegts":  # which writes headers into them
        assert [bytes(packet) for packet in got] == sent
    times = [packet.dts for packet in got if packet.dts is not None]
    assert len(times) == len(sent)
    assert times == sorted(times)


def test_an_empty_text_between_two_is_left_to_the_muxer(tmp_path: Path) -> None:
    text = Subtitle("mov_text", lines=((0, 100, "hello"), (300, 400, "world")))
    source = make_video(tmp_path / "in.mp4", Video(subtitles=(text,)))
    stored = [data for _, data in packets_of(source, 1)]
    assert b"\0\0" in stored

    others, _ = take(source, tmp_path / "out.mp4", "mp4")

    assert others.copied == (CopiedStream(1, 1, "subtitle", "mov_text", packets=2),)
    again = packets_of(tmp_path / "out.mp4", 1)
    assert [data for _, data in again] == stored
    assert [time for time, data in again if data != b"\0\0"] == [0, Fraction(3, 10)]


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        ({7: "aac"}, r"no stream 7 beside the video; expected: 1 \(audio\)"),
        ({0: "aac"}, r"no stream 0 beside the video"),
        ({1: "mov_text"}, r"audio stream 1 \(aac\) cannot become mov_text in mp4; try alac"),
    ],
)
def test_a_conversion_that_cannot_be(tmp_path: Path, convert: dict[int, str], message: str) -> None:
    source = make_video(
        tmp_path / "in.mp4", replace(FULL, audio=(AudioTrack(),), subtitles=(), attachments=())
    )
    with open_media(str(source)) as original, av.open(io.BytesIO(), "w", format="mp4") as output:
        main = video_stream(original, str(source))
        with pytest.raises(NodeConfigError, match=message):
            OtherStreams(original, main, output, "mp4", StreamPolicy(convert))
