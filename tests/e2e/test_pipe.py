"""Pipes: a video in on standard input, the same one out on standard output, as it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest

import pipeline
from pipeline.errors import ConfigError
from tests.support.media import AudioTrack, Video, decode_all, make_video, packets_of

COMMAND = [sys.executable, "-m", "pipeline", "enhance", "-", "-o"]
QUIET = ["--set", "enhance.weights=bicubic", "--set", "run.threads=1"]


def pipe(content: bytes, *more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, "-", *QUIET, *more], input=content, capture_output=True, timeout=120, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("v.mkv", Video(frames=40, b_frames=2, audio=(AudioTrack("libopus"), AudioTrack()))),
        ("v.nut", Video(codec="ffv1", frames=10, audio=(AudioTrack("pcm_s16le"),))),
        ("v.ts", Video(frames=20, audio=(AudioTrack(duration_s=2),))),
    ],
)
def test_what_goes_in_comes_out(tmp_path: Path, name: str, video: Video) -> None:
    source = make_video(tmp_path / name, video)
    done = pipe(source.read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    target = tmp_path / f"out{source.suffix}"
    target.write_bytes(done.stdout)

    before, after = decode_all(source), decode_all(target)
    assert len(after) == len(before)
    shift = (after[0].time or 0) - (before[0].time or 0)
    for one, other in zip(before, after, strict=True):
        assert (other.time or 0) - shift == pytest.approx(one.time or 0, abs=0.0011)
    for index in range(1, 1 + len(video.audio)):
        sent, got = packets_of(source, index), packets_of(target, index)
        assert [data for _, data in got] == [data for _, data in sent]
        for (a, _), (b, _) in zip(sent, got, strict=True):
            assert float(b) - shift == pytest.approx(float(a), abs=0.0011)
    assert f"{len(before)} frames".encode() in done.stderr


@pytest.mark.parametrize("name", ["v.mkv", "v.nut", "v.ts"])
def test_a_part_of_a_pipe_is_the_part_of_the_file(tmp_path: Path, name: str) -> None:
    tracks = (AudioTrack("pcm_s16le" if name == "v.nut" else "aac", duration_s=3),)
    chapters = ((0.0, 1.0, "one"), (1.0, 3.0, "two")) if name == "v.mkv" else ()
    source = make_video(tmp_path / name, Video(frames=75, audio=tracks, chapters=chapters))
    settings = ["enhance.weights=bicubic"]
    file, stream = tmp_path / f"file{source.suffix}", tmp_path / f"stream{source.suffix}"
    pipeline.enhance(source, file, settings=settings, from_s=1, to_s=2, runner="local")
    pipeline.enhance_stream(source, stream, settings=settings, from_s=1, to_s=2)

    def times(path: Path, index: int) -> list[float]:
        first = min(float(time) for time, _ in packets_of(path, 0))
        return sorted(float(time) - first for time, _ in packets_of(path, index))

    assert times(stream, 0) == pytest.approx(times(file, 0), abs=0.0011)
    heard, expected = times(stream, 1), times(file, 1)
    # What the source holds behind the picture at which it ends is not read.
    assert 0.5 < max(heard) <= max(expected) + 0.0011
    assert heard == pytest.approx(expected[: len(heard)], abs=0.0011)
    if name != "v.ts":  # whose clock does not begin at 0
        assert decode_all(stream)[0].time == pytest.approx(0, abs=0.0011)
    with av.open(file) as one, av.open(stream) as other:
        assert other.chapters() == one.chapters()


@pytest.mark.parametrize(
    "flags", [{"sign_cert": "a.pem"}, {"sign_key": "a.pem"}, {"address": "auto"}, {"runner": "ray"}]
)
def test_what_a_stream_cannot_do_is_refused(flags: Any, tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=2))
    with pytest.raises(ConfigError, match=r"^run\.\w+.* is not for streams"):
        pipeline.enhance_stream(source, tmp_path / "out.mkv", **flags)
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.slow
def test_raw_pictures_come_and_go_as_y4m(tmp_path: Path) -> None:
    video = Video(codec="wrapped_avframe", format="yuv4mpegpipe", frames=8)
    source = make_video(tmp_path / "v.y4m", video)
    done = pipe(source.read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    target = tmp_path / "out.y4m"
    target.write_bytes(done.stdout)
    assert [bytes(p.planes[0]) for p in decode_all(target)] == [
        bytes(p.planes[0]) for p in decode_all(source)
    ]


def test_frames_leave_while_more_are_coming(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=200, gop_frames=12))
    content = source.read_bytes()
    process = subprocess.Popen(
        [*COMMAND, "-", *QUIET, "--set", "run.window_frames=4"],
        bufsize=0,  # communicate() does not see what a buffer has read ahead
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(content[: len(content) // 2])
    process.stdin.flush()
    head = process.stdout.read(2000)
    assert head[:4] == b"\x1a\x45\xdf\xa3"
    process.stdin.write(content[len(content) // 2 :])
    rest, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    target = tmp_path / "out.mkv"
    target.write_bytes(head + rest)
    assert len(decode_all(target)) == 200
    assert b" bframes=0 " in head + rest  # as x264 says of itself: no frame waits for a later one


def test_an_interrupt_finishes_the_file(tmp_path: Path) -> None:
    content = make_video(tmp_path / "v.mkv", Video(frames=200)).read_bytes()
    target = tmp_path / "out.mp4"
    process = subprocess.Popen(
        [*COMMAND, str(target), *QUIET], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(content[: len(content) * 3 // 4])
    process.stdin.flush()
    part = tmp_path / ".out.mp4.aminet-part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 2000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(content[len(content) * 3 // 4 :], timeout=60)
    assert process.returncode == 0, errors.decode()
    assert not part.exists()
    with av.open(target) as container:
        assert 0 < sum(1 for _ in container.decode(video=0)) <= 200


@pytest.mark.slow
def test_what_is_no_video_is_refused_in_one_line() -> None:
    done = pipe(b"no video here\n" * 50)
    assert done.returncode == 3
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert b"not a media file" in done.stderr
