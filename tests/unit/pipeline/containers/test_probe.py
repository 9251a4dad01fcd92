"""Probe: counted, not believed."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import pytest

from nodes.errors import MediaError
from pipeline.containers.probe import is_media, probe
from tests.support.media import (
    AudioTrack,
    Subtitle,
    Video,
    make_audio,
    make_video,
    truncate,
)

MILLISECONDS = Fraction(1, 1000)


def test_streams_and_video_are_described(tmp_path: Path) -> None:
    video = Video(
        codec="libx265",
        pix_fmt="yuv420p10le",
        rotation_deg=90,
        audio=(AudioTrack(language="fre"),),
        subtitles=(Subtitle(language="ger"),),
        metadata={"title": "Gate 4"},
        chapters=((0, 0.2, "one"),),
    )
    result = probe(str(make_video(tmp_path / "v.mkv", video)))

    assert [(s.kind, s.codec, s.language) for s in result.streams] == [
        ("video", "hevc", None),
        ("audio", "aac", "fre"),
        ("subtitle", "subrip", "ger"),
    ]
    assert (result.video_stream, result.video.codec_name) == (0, "hevc")
    assert (result.video.bit_depth, result.video.rotation_deg) == (10, 90)
    assert result.edited_as == "yuv420p10le"
    assert result.chapters == 1
    assert result.metadata["title"] == "Gate 4"
    json.dumps(asdict(result), default=str)


def test_frames_and_keyframes_are_counted(tmp_path: Path) -> None:
    video = Video(frames=23, gop_frames=10, b_frames=2)
    timing = probe(str(make_video(tmp_path / "v.ts", video))).timing
    assert (timing.frames, timing.keyframes) == (23, 3)
    assert timing.longest_keyframe_interval_s == pytest.approx(0.4)
    assert timing.kind == "constant"


def test_the_count_of_a_cut_file_is_what_is_left(tmp_path: Path) -> None:
    video = Video(frames=30, container_options={"movflags": "faststart"})
    path = truncate(make_video(tmp_path / "v.mp4", video), 0.7)
    result = probe(str(path))
    assert result.video.frame_count_hint == 30
    assert 15 < result.timing.frames < 30
    assert result.timing.damaged_packets == 1


@pytest.mark.parametrize(
    ("name", "video", "kind"),
    [
        ("v.mp4", Video(), "constant"),
        ("v.mkv", Video(rate=Fraction(30000, 1001), frames=40), "constant"),
        ("v.mp4", Video(frames=1), "constant"),
        ("v.mp4", Video(pts=(0, 40, 100, 101, 900), time_base=MILLISECONDS), "variable"),
        ("v.h264", Video(), "incomplete"),
    ],
)
def test_timing_is_classified(tmp_path: Path, name: str, video: Video, kind: str) -> None:
    assert probe(str(make_video(tmp_path / name, video))).timing.kind == kind


def test_steps_between_frames_are_measured(tmp_path: Path) -> None:
    video = Video(pts=(5, 45, 105, 106, 900), time_base=MILLISECONDS)
    timing = probe(str(make_video(tmp_path / "v.mkv", video))).timing
    assert (timing.first_pts, timing.last_pts) == (5, 900)
    assert (timing.shortest_step_ticks, timing.longest_step_ticks) == (1, 794)


def test_missing_times_are_counted(tmp_path: Path) -> None:
    timing = probe(str(make_video(tmp_path / "v.h264", Video(frames=7)))).timing
    assert (timing.frames, timing.missing_pts, timing.first_pts) == (7, 7, None)


def test_metadata_in_another_encoding_can_be_printed(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", Video(metadata={"title": "Straße"}))
    path.write_bytes(path.read_bytes().replace("Straße".encode(), b"Stra\xdfe "))
    assert probe(str(path)).metadata["title"].encode() == "Stra\ufffde ".encode()


def test_pictures_to_be_converted_are_announced(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mov", Video(codec="png", pix_fmt="rgb24", frames=2))
    result = probe(str(path))
    assert (result.video.pix_fmt, result.edited_as) == ("rgb24", "yuv444p")


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="only audio"):
        probe(str(make_audio(tmp_path / "a.mp4")))


def test_videos_are_told_from_other_files(tmp_path: Path) -> None:
    videos = [
        make_video(tmp_path / name, Video(frames=2))
        for name in ("v.mp4", "v.mkv", "v.ts", "v.h264")
    ]
    unnamed = videos[0].rename(tmp_path / "no_suffix")
    text = tmp_path / "text.mp4"
    text.write_text("[00:01.00] lyrics\n")
    letter = tmp_path / "letter.ans"  # libav would draw this as a picture
    letter.write_text("Dear reader\n")
    picture = make_video(tmp_path / "p.png", Video(codec="png", pix_fmt="rgb24", frames=1))
    nameless_picture = picture.rename(tmp_path / "p.dat")

    assert all(is_media(path) for path in [unnamed, *videos[1:]])
    others = [make_audio(tmp_path / "a.mp4"), text, letter, picture, nameless_picture, tmp_path]
    assert [path.name for path in [*others, tmp_path / "none.mp4"] if is_media(path)] == []
