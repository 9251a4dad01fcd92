"""Sources that a plain recipe cannot make: odd timing, covers, data streams, damage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext

from tests.support.media import AudioTrack, Video, make_picture, make_video

__all__ = [
    "Maker",
    "damaged_tail",
    "edit_list",
    "mirrored",
    "of",
    "retimed",
    "size_change",
    "text",
    "with_cover",
    "with_data",
    "with_timecode",
]

Maker = Callable[[Path], Path]
"""Writes a source to a path and returns it."""

MILLISECONDS = Fraction(1, 1000)


def of(video: Video) -> Maker:
    """Return the maker of a recipe."""
    return lambda path: make_video(path, video)


def retimed(times_ms: Sequence[int]) -> Maker:
    """Pictures that all stand alone, with just these times; NUT checks none."""

    def make(path: Path) -> Path:
        plain = make_video(path.with_suffix(".nut"), Video(codec="ffv1", frames=len(times_ms)))
        target = path.with_suffix(".retimed")
        with av.open(plain) as source, av.open(target, "w", format="nut") as output:
            stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
            stream.time_base = MILLISECONDS
            payloads = [bytes(packet) for packet in source.demux(video=0) if packet.size]
            for number, (payload, time_ms) in enumerate(zip(payloads, times_ms, strict=True)):
                packet = av.Packet(payload)
                packet.stream, packet.time_base = stream, MILLISECONDS
                packet.pts, packet.dts, packet.is_keyframe = time_ms, number, True
                output.mux(packet)
        return target.replace(path)

    return make


def edit_list(skipped_frames: int) -> Maker:
    """An MP4 whose edit list hides its first pictures, as a cut without encoding leaves it."""

    def make(path: Path) -> Path:
        plain = make_video(path.with_suffix(".nut"), Video(audio=(AudioTrack(),)))
        options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
        with av.open(plain) as source, av.open(path, "w", container_options=options) as output:
            copies = [output.add_stream_from_template(s, opaque=True) for s in source.streams]
            for packet in source.demux():
                if not packet.size or packet.pts is None:
                    continue
                earlier = round(Fraction(skipped_frames, 25) / packet.time_base)
                packet.pts -= earlier
                packet.dts = packet.pts
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
        plain.unlink()
        return path

    return make


def with_cover(path: Path) -> Path:
    """A video with a picture of its cover."""
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 32, 32, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    cover = bytes(encoder.encode(make_picture(0, 32, 32, "yuvj420p"))[0])
    plain = make_video(path.with_name(f"plain{path.suffix}"))
    with av.open(plain) as source, av.open(path, "w") as output:
        video = output.add_stream_from_template(source.streams.video[0], opaque=True)
        picture = output.add_mux_stream("mjpeg", width=32, height=32)
        picture.disposition = Disposition.attached_pic
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = picture, 0, 0, True
        output.mux(packet)
    plain.unlink()
    return path


def with_timecode(path: Path) -> Path:
    """A QuickTime file with a timecode track: the time of day of its first frame."""
    plain = make_video(path.with_name(f"plain{path.suffix}"))
    with av.open(plain) as source, av.open(path, "w") as output:
        video = output.add_stream_from_template(source.streams.video[0], opaque=True)
        video.metadata["timecode"] = "01:02:03:04"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
    plain.unlink()
    return path


def with_data(path: Path) -> Path:
    """An MPEG-TS with KLV metadata beside the pictures, as drones record it."""
    plain = make_video(path.with_name(f"plain{path.suffix}"))
    with av.open(plain) as source, av.open(path, "w", format="mpegts") as output:
        video = output.add_stream_from_template(source.streams.video[0], opaque=True)
        data = output.add_data_stream("klv")
        data.time_base = Fraction(1, 90_000)
        for number, packet in enumerate(source.demux(video=0)):
            if not packet.size or packet.pts is None:
                continue
            time = packet.pts
            packet.stream = video
            output.mux(packet)
            note = av.Packet(b"\x06\x0e\x2b\x34" + bytes([number]) * 20)
            note.stream, note.time_base, note.pts, note.dts = data, data.time_base, time, time
            output.mux(note)
    plain.unlink()
    return path


def mirrored(path: Path) -> Path:
    """A telephone's front camera: a display matrix that mirrors, which no angle says."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_matrix([-65536, 0, 0, 0, 65536, 0, 64 * 65536, 0, 1 << 30])
        for number in range(6):
            picture = make_picture(number)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def size_change(path: Path) -> Path:
    """A raw H.264 stream that grows after four frames."""
    small = make_video(path.with_name("a.h264"), Video(frames=4))
    large = make_video(path.with_name("b.h264"), Video(frames=5, width_px=96))
    path.write_bytes(small.read_bytes() + large.read_bytes())
    for part in (small, large):
        part.unlink()
    return path


def damaged_tail(path: Path) -> Path:
    """An MP4 with its index in front, cut after 70 % of its bytes."""
    whole = Video(frames=40, container_options={"movflags": "faststart"})
    content = make_video(path, whole).read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    return path


def text(path: Path) -> Path:
    """A text file with a video's name."""
    path.write_text("no video here\n" * 50)
    return path
