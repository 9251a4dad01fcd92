"""What a container cannot hold is found before the work, with the choice offered."""

from __future__ import annotations

import io
from pathlib import Path, PurePath

import av
import pytest
from av.codec import Codec

from nodes.encode.encoder_table import ENCODERS
from nodes.errors import MediaError, NodeConfigError
from pipeline.containers.formats import (
    Problem,
    check_target,
    container_format,
    default_suffix,
)
from pipeline.containers.stream_plan import StreamPolicy
from tests.support.media import AudioTrack, Subtitle, Video, make_video

REFUSE = StreamPolicy(mode="refuse", sounds={})


def problems(
    source: Path, suffix: str, codec: str = "h264", policy: StreamPolicy = REFUSE
) -> list[Problem]:
    return check_target(str(source), PurePath(f"out{suffix}"), codec, policy)


@pytest.mark.parametrize(
    ("container", "codec"),
    sorted(
        (container, Codec(row.name, "w").canonical_name)
        for row in ENCODERS.values()
        for container in row.containers
    ),
)
def test_every_codec_we_promise_is_taken_by_the_muxer(container: str, codec: str) -> None:
    with av.open(io.BytesIO(), "w", format=container) as output:
        output.add_mux_stream(codec, width=64, height=48)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".m2ts", ".nut", ".MP4"])
def test_plain_h264_with_aac_fits_nearly_everywhere(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=2, audio=(AudioTrack(),)))
    assert problems(source, suffix) == []


@pytest.mark.parametrize(
    ("audio", "suffix", "fits"),
    [
        ("pcm_s16le", ".mkv", True),
        ("pcm_s16le", ".mov", True),
        ("pcm_s16le", ".ts", False),
        ("pcm_mulaw", ".mp4", False),
        ("pcm_mulaw", ".mov", True),
        ("libopus", ".mov", False),
        ("libopus", ".webm", True),
        ("aac", ".webm", False),
    ],
)
def test_sound_that_a_container_lacks_is_a_problem(
    tmp_path: Path, audio: str, suffix: str, *, fits: bool
) -> None:
    track = AudioTrack(audio, "mono", 48_000 if audio == "libopus" else 8000)
    origin = {"libopus": "v.mkv"}.get(audio, "v.mov")
    source = make_video(tmp_path / origin, Video(frames=2, audio=(track,)))

    found = [problem for problem in problems(source, suffix, "vp9") if problem.stream is not None]

    assert (found == []) == fits
    for problem in found:
        assert problem.fatal
        assert "audio stream 1" in problem.message
        assert "choose an output ending in" in problem.message
        assert suffix not in problem.advice
    for problem in problems(source, suffix, "vp9", StreamPolicy(sounds={})):
        assert problem.stream is None or not problem.fatal


def test_advice_names_only_containers_that_hold_the_stream(tmp_path: Path) -> None:
    track = AudioTrack("pcm_mulaw", "mono", 8000)
    source = make_video(tmp_path / "v.avi", Video(codec="mpeg4", frames=2, audio=(track,)))
    (problem,) = problems(source, ".mp4")
    assert problem.advice == (
        "choose an output ending in .mov, or --set encode.convert.1=alac to convert that stream,"
        " or --set encode.other_streams=copy to leave out what does not fit"
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".nut"])
def test_sound_in_an_unknown_codec_is_a_problem_not_a_crash(tmp_path: Path, suffix: str) -> None:
    track = AudioTrack("pcm_s16le", "mono", 8000)
    source = make_video(tmp_path / "v.mov", Video(frames=2, audio=(track,)))
    source.write_bytes(source.read_bytes().replace(b"sowt", b"zzzz"))
    (problem,) = problems(source, suffix)
    assert problem.fatal
    assert "audio stream 1 (unknown)" in problem.message
    assert problem.advice.startswith("--set encode.other_streams=copy to leave out")
    (kept,) = problems(source, suffix, policy=StreamPolicy(sounds={}))
    assert (kept.advice, kept.fatal) == ("left out", False)
    with pytest.raises(NodeConfigError, match="cannot become aac"):
        problems(source, suffix, policy=StreamPolicy({1: "aac"}))


def test_subtitles_of_a_kind_the_target_lacks_are_a_problem(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=2, subtitles=(Subtitle(),)))
    (problem,) = problems(source, ".mp4")
    assert problem.message == (
        ".mp4 cannot hold subtitle stream 1 (subrip): choose an output ending in .mkv,"
        " or --set encode.convert.1=mov_text to convert that stream, or --set"
        " encode.other_streams=copy to leave out what does not fit"
    )


def test_attachments_are_left_out_with_a_note(tmp_path: Path) -> None:
    video = Video(frames=2, attachments=(("a.ttf", "font/ttf", b"x"),))
    source = make_video(tmp_path / "v.mkv", video)
    (problem,) = problems(source, ".mp4")
    assert not problem.fatal
    assert problem.message.endswith("it is left out")


@pytest.mark.parametrize(
    ("codec", "suffix", "others"),
    [("ffv1", ".mp4", ".mkv"), ("h264", ".webm", ".mkv or .mov or .mp4")],
)
def test_a_codec_that_the_container_lacks_is_a_problem(
    tmp_path: Path, codec: str, suffix: str, others: str
) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=2))
    (problem,) = problems(source, suffix, codec)
    assert f"{suffix} cannot hold {codec} video" in problem.message
    assert f"ending in {others}, or another encode.codec" in problem.message


@pytest.mark.parametrize("suffix", [".avi", ".wmv", ".mpg", ""])
def test_containers_we_do_not_write_are_a_problem(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=2))
    (problem,) = problems(source, suffix)
    assert problem.fatal
    assert container_format(PurePath(f"x{suffix}")) is None


def test_a_turned_video_needs_a_container_that_says_so(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=2, rotation_deg=90))
    assert problems(source, ".mkv") == []
    (problem,) = problems(source, ".ts")
    assert "turned by 90 degrees" in problem.message


def test_the_default_is_the_sources_own_container_where_that_works(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.MP4", Video(frames=2, format="mp4"))
    assert default_suffix(str(source), "h264") == (".MP4", None)


@pytest.mark.parametrize(
    ("audio", "chosen"), [((), ".mkv"), ((AudioTrack("pcm_mulaw", "mono", 8000),), ".mov")]
)
def test_avi_goes_to_a_container_that_holds_all_of_it(
    tmp_path: Path, audio: tuple[AudioTrack, ...], chosen: str
) -> None:
    source = make_video(tmp_path / "v.avi", Video(codec="mpeg4", frames=2, audio=audio))
    suffix, reason = default_suffix(str(source), "h264")
    assert suffix == chosen
    assert reason is not None
    assert reason.startswith(f"{chosen} chosen, as AVI stores no presentation times")


def test_a_source_that_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_text("no video")
    with pytest.raises(MediaError):
        check_target(str(path), PurePath("out.mp4"), "h264")
