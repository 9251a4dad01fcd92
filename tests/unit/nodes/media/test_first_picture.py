"""Reading a file no further than to its first picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.errors import MediaError
from nodes.media.reader import PictureReader, first_picture
from tests.support.media import AudioTrack, Video, corrupt_packets, make_audio, make_video, planes


def assert_closed(reader: PictureReader) -> None:
    with pytest.raises(AssertionError, match="not open"):
        reader.container.seek(0)


def test_it_is_the_first_that_is_shown(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(b_frames=2, pts=(5, 6, 7, 8), rotation_deg=90))
    with first_picture(str(source)) as (reader, first):
        assert first is not None
        assert (first.pts or 0) * reader.time_base * 25 == 5
        assert first.rotation == -90
        assert reader.stream.codec_context.width == 64
    assert_closed(reader)
    assert len(planes(first)) == 3  # which outlives the file


def test_a_damaged_one_is_passed_over_and_nobody_is_told(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(codec="ffv1", gop_frames=1))
    with first_picture(str(source)) as (_, whole):
        pass
    with first_picture(str(corrupt_packets(source, [0]))) as (_, first):
        assert first is not None
        assert whole is not None
        assert first.pts is not None


def test_none_where_nothing_can_be_decoded(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=3, audio=(AudioTrack(),)))
    with first_picture(str(corrupt_packets(source, [0, 1, 2]))) as (_, first):
        assert first is None


def test_the_file_is_closed_after_an_error_too(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4")
    kept: list[PictureReader] = []

    def fail() -> None:
        with first_picture(str(source)) as (reader, _):
            kept.append(reader)
            raise RuntimeError("of the caller")

    with pytest.raises(RuntimeError, match="of the caller"):
        fail()
    assert_closed(kept[0])


def test_what_holds_no_video_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError, match="contains no video"),
        first_picture(str(make_audio(tmp_path / "a.wav", AudioTrack("pcm_s16le")))),
    ):
        pass
