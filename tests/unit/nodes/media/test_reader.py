"""Reading pictures: order, seeks that are checked, damage that is told and does not stop it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Stream

from nodes.errors import MediaError
from nodes.media.reader import PictureReader
from tests.support.cut_videos import VIDEOS
from tests.support.media import (
    AudioTrack,
    Video,
    corrupt_packets,
    decode_all,
    make_audio,
    make_video,
    truncate,
)
from tests.support.video_nodes import same_pixels

Damage = list[tuple[str, int | None]]

THREADS = pytest.mark.parametrize("threads", [1, 3])


@contextmanager
def reading(
    path: Path, threads: int = 1, others: list[Packet[Stream]] | None = None
) -> Generator[tuple[PictureReader, Damage]]:
    damage: Damage = []
    reader = PictureReader(
        str(path),
        threads,
        lambda what, pts: damage.append((what, pts)),
        None if others is None else others.append,
    )
    try:
        yield reader, damage
    finally:
        reader.close()


@THREADS
@pytest.mark.parametrize("name", ["b_frames.mp4", "open_gop.mkv", "closed.ts", "variable.mp4"])
def test_pictures_come_in_the_order_they_are_shown_with_their_own_times(
    tmp_path: Path, name: str, threads: int
) -> None:
    path = make_video(tmp_path / name, VIDEOS[name])
    expected = decode_all(path)
    with reading(path, threads) as (reader, damage):
        pictures = list(reader.pictures())
        assert reader.time_base == expected[0].time_base
        assert not reader.ended_early
    assert [p.pts for p in pictures] == [p.pts for p in expected]
    assert same_pixels(pictures, expected)
    assert damage == []


@THREADS
@pytest.mark.parametrize("name", ["closed.mp4", "open_gop.ts", "refresh.ts", "late.mkv"])
def test_after_a_seek_the_wanted_picture_comes_and_all_that_follow(
    tmp_path: Path, name: str, threads: int
) -> None:
    path = make_video(tmp_path / name, VIDEOS[name])
    expected = decode_all(path)
    for number in (0, 1, 25, 40, len(expected) - 1):
        wanted = expected[number].pts
        assert wanted is not None
        with reading(path, threads) as (reader, _):
            reader.seek(wanted)
            pictures = list(reader.pictures())
        first = pictures[0].pts
        assert first is not None
        assert first <= wanted
        behind = [p for p in pictures if p.pts is not None and p.pts >= wanted]
        assert same_pixels(behind, expected[number:])


def test_a_seek_does_not_read_the_file_from_its_beginning(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", Video(frames=60, gop_frames=10))
    with reading(path) as (reader, _):
        reader.seek(1640)
        assert next(reader.pictures()).pts == 1600


def test_a_seek_to_before_the_first_picture_reads_all(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", VIDEOS["late.mkv"])
    with reading(path) as (reader, _):
        reader.seek(0)
        assert [p.pts for p in reader.pictures()] == [p.pts for p in decode_all(path)]


def test_a_reader_may_seek_again_and_start_again(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", VIDEOS["b_frames.mp4"])
    times = [p.pts for p in decode_all(path)]
    with reading(path, 3) as (reader, _):
        reader.seek(times[45] or 0)
        assert next(reader.pictures()).pts in times[: 45 + 1]
        reader.seek(times[12] or 0)
        after = [p.pts for p in reader.pictures()]
        assert after[-1] == times[-1]
        assert set(times[12:]) <= set(after)
        reader.reopen()
        assert [p.pts for p in reader.pictures()] == times


@THREADS
def test_a_damaged_packet_is_told_with_its_time_and_the_rest_comes(
    tmp_path: Path, threads: int
) -> None:
    path = make_video(tmp_path / "v.mkv", Video(codec="ffv1", frames=12))
    corrupt_packets(path, [5])
    with reading(path, threads) as (reader, damage):
        pictures = list(reader.pictures())
    assert [p.pts for p in pictures][-6:] == [240, 280, 320, 360, 400, 440]
    ((what, pts),) = damage
    assert what.startswith("cannot decode: ")
    assert pts is not None
    # Several decoders at once are heard of when the first of them is asked for its picture.
    assert 200 <= pts < 200 + 40 * threads


@THREADS
@pytest.mark.parametrize("number", [8, 9, 10, 11])
def test_damage_near_the_end_takes_no_other_picture_along(
    tmp_path: Path, threads: int, number: int
) -> None:
    path = make_video(tmp_path / "v.mkv", Video(codec="ffv1", frames=12))
    corrupt_packets(path, [number])
    with reading(path, threads) as (reader, damage):
        times = [p.pts for p in reader.pictures()]
    others = [40 * n for n in range(12) if n != number]
    assert [time for time in times if time != 40 * number] == others
    assert damage


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_a_file_cut_short_ends_early_and_says_so(tmp_path: Path, name: str) -> None:
    video = Video(
        frames=60,
        gop_frames=10,
        container_options=({"movflags": "faststart"} if name.endswith("mp4") else {}),
    )
    path = make_video(tmp_path / name, video)
    with reading(path) as (reader, _):
        assert len(list(reader.pictures())) == 60
        assert not reader.ended_early
    truncate(path, 0.6)
    with reading(path) as (reader, _):
        assert 10 < len(list(reader.pictures())) < 60
        assert reader.ended_early


def test_packets_of_other_streams_go_to_who_asks_for_them(tmp_path: Path) -> None:
    video = Video(audio=(AudioTrack(), AudioTrack("ac3")))
    path = make_video(tmp_path / "v.mkv", video)
    others: list[Packet[Stream]] = []
    with reading(path, others=others) as (reader, _):
        assert len(list(reader.pictures())) == 12
        got = [(p.stream_index, p.pts, bytes(p)) for p in others if p.size]
    with av.open(path) as container:
        sound = [(p.stream_index, p.pts, bytes(p)) for p in container.demux(audio=(0, 1)) if p.size]
    assert sorted(got, key=lambda p: p[:2]) == sorted(sound, key=lambda p: p[:2])


def test_avi_counts_frames_in_the_order_they_are_shown(tmp_path: Path) -> None:
    video = Video(codec="mpeg4", b_frames=2, frames=20, rate=Fraction(25))
    path = make_video(tmp_path / "v.avi", video)
    with reading(path) as (reader, damage):
        times = [p.pts for p in reader.pictures()]
    # The last ones have no time: what comes while the decoder is emptied cannot be counted.
    known = [time for time in times if time is not None]
    assert known == list(range(len(known)))
    assert times == [*known, *[None] * (20 - len(known))]
    assert len(known) >= 17
    assert damage == []


def test_a_closed_reader_holds_nothing_and_may_be_closed_again(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv")
    with reading(path) as (reader, damage):
        next(reader.pictures())
        reader.close()
        reader.close()
        assert list(reader.pictures()) == []
        assert damage == []


def test_a_file_without_video_is_refused_and_closed(tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.m4a")
    with pytest.raises(MediaError, match=r"a\.m4a") as caught:
        PictureReader(str(path), 1, lambda *_: None)
    assert caught.tb is not None, "what it holds is alive"
    assert path.resolve() not in {file.resolve() for file in Path("/proc/self/fd").iterdir()}
    with pytest.raises(MediaError, match=r"none\.mp4"):
        PictureReader(str(tmp_path / "none.mp4"), 1, lambda *_: None)
