"""Small test videos made in code: codec x container x pixel format x timing x sound.

Every picture is unique and smooth enough for any codec: a gradient that moves with the frame
number, the same in every run. `planes` returns a picture's samples without padding, so two pictures
are equal exactly when their planes are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.audio import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream
from av.video import VideoStream

from nodes.picture.filters import PictureFilter

__all__ = [
    "QUIET_X265",
    "AudioTrack",
    "Subtitle",
    "Video",
    "corrupt_packets",
    "decode_all",
    "make_audio",
    "make_picture",
    "make_video",
    "packets_of",
    "planes",
    "truncate",
]

QUIET_X265 = "log-level=none:pools=1:frame-threads=1"


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A sine tone."""

    codec: str = "aac"
    layout: str = "stereo"
    rate_hz: int = 48_000
    duration_s: float = 0.5
    start_s: Fraction = Fraction(0)
    language: str = ""
    bit_rate: int | None = None
    """Bits a second; None: the encoder's own."""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """A text subtitle track: (start, end) in milliseconds, and the text."""

    codec: str = "subrip"
    """subrip, webvtt or mov_text."""
    lines: tuple[tuple[int, int, str], ...] = ((0, 200, "hello"), (200, 400, "world"))
    language: str = ""


@dataclass(frozen=True, slots=True)
class Video:
    """Recipe of a test video; the defaults are 12 H.264 frames at 25 a second."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    width_px: int = 64
    height_px: int = 48
    frames: int = 12
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    """Ticks of `pts`; 1/rate unless given."""
    pts: tuple[int, ...] | None = None
    """Presentation times of the frames, in ticks; regular from 0 unless given."""
    last_duration_ticks: int = 0
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    b_frames: int = 0
    gop_frames: int = 12
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation_deg: int = 0
    """Clockwise turn that a player shall apply."""
    color: tuple[int, int, int, int] | None = None
    """Matrix, range, primaries, transfer, as libav numbers them."""
    fields: Literal["", "tff", "bff"] = ""
    """Interlaced, top or bottom field first; or progressive."""
    cameras: int = 1
    """Video streams, all with the same pictures."""
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[Subtitle, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    chapters: tuple[tuple[float, float, str], ...] = ()
    """(start, end) in seconds, and the title."""
    attachments: tuple[tuple[str, str, bytes], ...] = ()
    """Name, MIME type, content."""
    format: str | None = None
    """libav's name of the container; by the path's suffix unless given."""
    container_options: Mapping[str, str] = field(default_factory=dict[str, str])


def make_video(path: Path, video: Video | None = None) -> Path:
    """Write `video` to `path` and return the path."""
    video = video or Video()
    with av.open(
        path, "w", format=video.format, container_options=dict(video.container_options)
    ) as container:
        container.metadata.update(video.metadata)
        if video.chapters:
            container.set_chapters(
                [
                    {
                        "id": number,
                        "start": round(start * 1000),
                        "end": round(end * 1000),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(video.chapters, 1)
                ]
            )
        cameras = [_add_video(container, video) for _ in range(video.cameras)]
        sounds = [(_add_audio(container, track), track) for track in video.audio]
        texts = [(_add_subtitle(container, text), text) for text in video.subtitles]
        for name, mime, content in video.attachments:
            container.add_attachment(name, mime, content)
        container.start_encoding()
        for text_stream, text in texts:
            _write_subtitle(container, text_stream, text)
        for picture in _pictures(video):
            for camera in cameras:
                container.mux(camera.encode(picture))
        for camera in cameras:
            container.mux(camera.encode(None))
        for sound_stream, track in sounds:
            _write_tone(container, sound_stream, track)
    return path


def make_audio(path: Path, track: AudioTrack | None = None) -> Path:
    """Write a file that holds sound only."""
    track = track or AudioTrack()
    with av.open(path, "w") as container:
        stream = _add_audio(container, track)
        _write_tone(container, stream, track)
    return path


def make_picture(
    number: int, width_px: int = 64, height_px: int = 48, pix_fmt: str = "yuv420p"
) -> av.VideoFrame:
    """Return the test picture of that number, in legal limited range where that means anything."""
    picture = av.VideoFrame(width_px, height_px, pix_fmt)
    pixel_format = picture.format
    if (
        pixel_format.is_rgb
        or not pixel_format.is_planar
        or pixel_format.has_palette
        or pixel_format.is_big_endian
    ):
        return make_picture(number, width_px, height_px, "yuv444p").reformat(format=pix_fmt)
    depth = max(component.bits for component in pixel_format.components)
    low_bits_empty = pix_fmt.startswith(("p0", "p2"))
    for index, plane in enumerate(picture.planes):
        wide = plane.line_size // (2 if depth > 8 else 1)
        y, x = np.mgrid[0 : plane.height, 0:wide]
        wave = 96 + 64 * np.sin((x * (index + 1) + 2 * y + 11 * number) / 9.0)
        samples = np.round(wave * (1 << (depth - 8)))
        dtype = np.uint16 if depth > 8 else np.uint8
        stored = samples.astype(dtype) << (16 - depth if low_bits_empty else 0)
        plane.update(stored.astype(dtype).tobytes())
    return picture


def planes(picture: av.VideoFrame) -> list[npt.NDArray[np.uint8]]:
    """Return each plane's bytes as (height, bytes a row) without the padding at the row ends."""
    result: list[npt.NDArray[np.uint8]] = []
    bits = [0] * len(picture.planes)
    for component in picture.format.components:
        bits[component.plane] += 16 if component.bits > 8 else 8
    for plane, plane_bits in zip(picture.planes, bits, strict=True):
        # Semi-planar chroma counts two components at half the width; `plane.width` says samples.
        row_bytes = plane.width * plane_bits // 8
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
        result.append(rows[: plane.height, :row_bytes].copy())
    return result


def decode_all(path: Path | str) -> list[av.VideoFrame]:
    """Decode the first video stream the plain way: the reference that tests compare with."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return list(container.decode(stream))


def packets_of(path: Path | str, index: int) -> list[tuple[Fraction, bytes]]:
    """Return (pts in seconds, payload) of every packet of the stream at `index`."""
    with av.open(path) as container:
        stream = container.streams[index]
        assert stream.time_base is not None
        return [
            (packet.pts * stream.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]


def truncate(path: Path, fraction: float) -> Path:
    """Cut the file after that fraction of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path


def corrupt_packets(path: Path, numbers: Sequence[int], seed: int = 1) -> Path:
    """Overwrite the inside of the video packets of those numbers (in file order) with noise."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        places = [(p.pos, p.size) for p in container.demux(stream) if p.size]
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(seed)
    for number in numbers:
        position, size = places[number]
        assert position is not None
        start, stop = position + min(12, size // 4), position + size
        content[start:stop] = noise.integers(0, 256, stop - start, dtype=np.uint8).tobytes()
    path.write_bytes(bytes(content))
    return path


def _add_video(container: OutputContainer, video: Video) -> VideoStream:
    options = dict(video.options)
    if video.codec == "libx264":
        options = {"preset": "ultrafast", "bf": str(video.b_frames), **options}
    elif video.codec == "libx265":
        options = {
            "preset": "ultrafast",
            "x265-params": f"{QUIET_X265}:bframes={video.b_frames}",
            **options,
        }
    elif video.codec == "libvpx-vp9":
        options = {"cpu-used": "8", "deadline": "realtime", **options}
    elif video.codec == "libsvtav1":
        options = {"preset": "12", **options}
    stream = container.add_stream(video.codec, rate=video.rate, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = video.width_px, video.height_px
    context.pix_fmt = video.pix_fmt
    context.time_base = video.time_base or 1 / video.rate
    context.thread_count = 1
    context.gop_size = video.gop_frames
    context.flags |= Flags.frame_duration
    if video.codec in ("mpeg4", "mpeg2video"):
        context.max_b_frames = video.b_frames
    if video.fields:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
    context.sample_aspect_ratio = video.sample_aspect_ratio
    if video.color is not None:
        context.colorspace, context.color_range = video.color[:2]
        context.color_primaries, context.color_trc = video.color[2:]
    if video.rotation_deg:
        stream.set_display_rotation(-video.rotation_deg)
    return stream


def _pictures(video: Video) -> Iterator[av.VideoFrame]:
    pts = video.pts if video.pts is not None else tuple(range(video.frames))
    for number, time in enumerate(pts):
        picture = make_picture(number, video.width_px, video.height_px, video.pix_fmt)
        picture.pts = time
        picture.time_base = video.time_base or 1 / video.rate
        if number == len(pts) - 1:
            picture.duration = video.last_duration_ticks
        if video.color is not None:
            picture.colorspace, picture.color_range = video.color[:2]
            picture.color_primaries, picture.color_trc = video.color[2:]
        yield _with_fields(picture, video.fields) if video.fields else picture


def _with_fields(picture: av.VideoFrame, mode: str) -> av.VideoFrame:
    assert picture.time_base is not None
    (marked,) = PictureFilter(
        picture, picture.time_base, lambda graph: [graph.add("setfield", f"mode={mode}")]
    ).push(picture)
    return marked


def _add_audio(container: OutputContainer, track: AudioTrack) -> AudioStream:
    stream = container.add_stream(track.codec, rate=track.rate_hz)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = track.layout
    if track.bit_rate is not None:
        stream.codec_context.bit_rate = track.bit_rate
    if track.language:
        stream.metadata["language"] = track.language
    return stream


def _write_tone(container: OutputContainer, stream: AudioStream, track: AudioTrack) -> None:
    channels = stream.codec_context.layout.nb_channels
    first = int(track.start_s * track.rate_hz)
    total = int(track.duration_s * track.rate_hz)
    for start in range(0, total, 1024):
        count = min(1024, total - start)
        time_s = (np.arange(start, start + count) / track.rate_hz)[None, :]
        pitch_hz = 220.0 * (1 + np.arange(channels))[:, None]
        tone = (8000 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone, format="s16p", layout=track.layout)
        frame.sample_rate = track.rate_hz
        frame.time_base = Fraction(1, track.rate_hz)
        frame.pts = first + start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _add_subtitle(container: OutputContainer, text: Subtitle) -> SubtitleStream:
    stream = container.add_mux_stream(text.codec)
    assert isinstance(stream, SubtitleStream)
    stream.time_base = Fraction(1, 1000)
    if text.language:
        stream.metadata["language"] = text.language
    return stream


def _write_subtitle(container: OutputContainer, stream: SubtitleStream, text: Subtitle) -> None:
    for start_ms, end_ms, words in text.lines:
        content = words.encode()
        # Timed text of MP4 says its length first.
        length = len(content).to_bytes(2, "big") if text.codec == "mov_text" else b""
        packet = av.Packet(length + content)
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = start_ms
        packet.duration = end_ms - start_ms
        container.mux(packet)
