"""Bit flips and cuts, seeded: every file ends in a video with a report, or in a clean error."""

from __future__ import annotations

import random
from pathlib import Path, PurePath

import pytest

from aminet.errors import AminetError
from nodes.encode.encoders import EncodeConfig
from pipeline.containers.formats import check_target, default_suffix
from pipeline.containers.mux import mux
from pipeline.containers.probe import probe
from tests.support.media import AudioTrack, Subtitle, Video, decode_all, make_video
from tests.support.video_nodes import decode, encode

SOURCES = {
    "v.mp4": Video(
        frames=30,
        gop_frames=10,
        b_frames=2,
        audio=(AudioTrack(),),
        container_options={"movflags": "faststart"},
    ),
    "v.mkv": Video(
        frames=30, gop_frames=10, audio=(AudioTrack("libopus"),), subtitles=(Subtitle(),)
    ),
    "v.ts": Video(frames=30, gop_frames=10, b_frames=2, audio=(AudioTrack(),)),
    "v.avi": Video(codec="mpeg4", frames=30, audio=(AudioTrack("pcm_s16le", "mono", 8000),)),
}

CASES_EACH = 125


def damaged(content: bytes, luck: random.Random) -> bytes:
    """Cut one file in four, and flip 1 to 60 bits in each."""
    result = bytearray(content)
    if luck.random() < 0.25:
        del result[luck.randrange(1, len(result)) :]
    for _ in range(luck.choice((1, 3, 10, 60))):
        result[luck.randrange(len(result))] ^= 1 << luck.randrange(8)
    return bytes(result)


def restore(source: Path, work_dir: Path) -> tuple[Path, int] | None:
    """Take a file through everything but the faces; None when its container cannot be written."""
    probe(str(source))
    suffix, _ = default_suffix(str(source), "h264")
    if any(
        problem.fatal for problem in check_target(str(source), PurePath(f"out{suffix}"), "h264")
    ):
        return None
    info, frames, _ = decode(source, threads=2)
    video, _ = encode(info, frames, work_dir, EncodeConfig(codec="x264", preset="ultrafast"))
    target = work_dir / f"out{suffix}"
    return target, mux([video], str(source), target, info).frames


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_every_damaged_file_ends_in_a_video_or_a_clean_error(tmp_path: Path, name: str) -> None:
    content = make_video(tmp_path / name, SOURCES[name]).read_bytes()
    luck = random.Random(name)
    done = 0
    for number in range(CASES_EACH):
        source = tmp_path / f"{number}{Path(name).suffix}"
        source.write_bytes(damaged(content, luck))
        message = ""
        try:
            result = restore(source, tmp_path / "work")
        except AminetError as error:
            result, message = None, str(error)
        assert "\n" not in message, f"case {number}"
        if result is not None:
            target, frames = result
            assert len(decode_all(target)) == frames > 0, f"case {number}"
            done += 1
    assert done > CASES_EACH // 2
