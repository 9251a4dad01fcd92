"""One clock for all streams: what starts anywhere or again, repeats, or has no time at first."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Stream

from nodes.encode import EncodeConfig
from nodes.types import Restart
from pipeline.containers.mux import MuxReport, mux
from pipeline.containers.packet_clock import PacketClock, Written
from tests.support.media import AudioTrack, Video, make_video, packets_of
from tests.support.transport import AUDIO, VIDEO, joined, rewrite_times
from tests.support.video_nodes import decode, encode

TALKING = Video(frames=40, b_frames=2, audio=(AudioTrack(duration_s=1.6),))
TARGETS = (".mp4", ".mov", ".mkv", ".ts", ".nut")
TICKS = 90_000


def restored(source: Path, suffix: str, *, keep_start: bool = False) -> tuple[Path, MuxReport]:
    """Decode, encode and mux as a job does."""
    info, frames, report = decode(source)
    video, encoded = encode(info, frames, source.parent / "work", EncodeConfig(codec="x264"))
    target = source.with_name(f"out{suffix}")
    muxed = mux(
        [video],
        str(source),
        target,
        info,
        last_duration_ticks=encoded["last_duration_ticks"],
        restarts=[Restart(**restart) for restart in report["restarts"]],
        keep_start=keep_start,
    )
    return target, muxed


def times_s(path: Path, index: int) -> list[float]:
    """When the packets of a stream are shown."""
    return sorted(float(time) for time, _ in packets_of(path, index))


def starts_and_ends_s(path: Path) -> list[tuple[float, float]]:
    """First and last time of the video and the sound, from the earlier of both."""
    both = [times_s(path, index) for index in (0, 1)]
    begin = min(times[0] for times in both)
    return [(times[0] - begin, times[-1] - begin) for times in both]


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("repeats", [[20], [5, 20], [20, 21, 22]], ids=str)
def test_repeated_sound_times_are_written(tmp_path: Path, suffix: str, repeats: list[int]) -> None:
    source = make_video(
        tmp_path / "v.ts", replace(TALKING, container_options={"pes_payload_size": "0"})
    )
    before = times_s(source, 1)
    seen: dict[int, int] = {}

    def repeat(number: int, time: int) -> int:
        seen[number] = time
        return seen[number - 2] if number in repeats else time

    rewrite_times(source, AUDIO, repeat)
    target, report = restored(source, suffix)
    after = times_s(target, 1)
    (sound,) = report.copied
    assert len(after) == len(before)
    assert sound.retimed_packets >= len(repeats)
    assert "went back or stood still: moved up" in report.notes[0]
    assert sound.max_deviation_s < 0.002
    assert all(one < other for one, other in pairwise(after))
    # Where only the time is wrong the packet is where it was.
    moved = [abs((b - before[0]) - (a - after[0])) for b, a in zip(before, after, strict=True)]
    assert max(moved) < 0.002 if len(repeats) < 3 else max(moved) < 0.1


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("count", [2, 3])
def test_joined_recordings_are_shown_one_after_the_other(
    tmp_path: Path, suffix: str, count: int
) -> None:
    part = make_video(tmp_path / "one.ts", TALKING)
    source = joined(tmp_path / "v.ts", *[part] * count)
    target, report = restored(source, suffix)
    assert report.frames == 40 * count
    (video_start, video_end), (sound_start, sound_end) = starts_and_ends_s(target)
    assert video_end - video_start == pytest.approx((40 * count - 1) / 25, abs=0.01)
    assert len(times_s(target, 1)) == count * len(times_s(part, 1))
    # Each recording's sound begins with its pictures.
    sound, pictures = times_s(target, 1), times_s(target, 0)
    own = starts_and_ends_s(part)
    lead_s = own[1][0] - own[0][0]
    for number in range(1, count):
        first = number * len(times_s(part, 1)) + 2  # the first two may overlap the one before
        expected = pictures[40 * number] + lead_s + times_s(part, 1)[2] - times_s(part, 1)[0]
        assert sound[first] == pytest.approx(expected, abs=0.025)
    assert sound_end - sound_start < 1.7 * count


@pytest.mark.parametrize("suffix", TARGETS)
def test_recordings_of_less_than_a_second_are_joined(tmp_path: Path, suffix: str) -> None:
    short = Video(frames=20, b_frames=2, audio=(AudioTrack(duration_s=0.8),))
    part = make_video(tmp_path / "one.ts", short)
    target, report = restored(joined(tmp_path / "v.ts", part, part, part), suffix)
    assert report.frames == 60
    (video_start, video_end), (sound_start, sound_end) = starts_and_ends_s(target)
    assert video_end - video_start == pytest.approx(59 / 25, abs=0.01)
    assert sound_end - sound_start < 2.6
    assert max(later - one for one, later in pairwise(times_s(target, 1))) < 0.06


@pytest.mark.parametrize("first_s", [100, 5000, 60_000])
@pytest.mark.parametrize("suffix", TARGETS)
def test_a_second_recording_of_an_earlier_clock_is_no_day_later(
    tmp_path: Path, suffix: str, first_s: int
) -> None:
    """libav takes its times for those after the clock of 33 bits has begun again."""
    part = make_video(tmp_path / "one.ts", TALKING)
    first = tmp_path / "first.ts"
    first.write_bytes(part.read_bytes())
    for stream in (AUDIO, VIDEO):
        rewrite_times(first, stream, lambda _, time: time + first_s * TICKS)
    target, report = restored(joined(tmp_path / "v.ts", first, part), suffix)
    assert report.frames == 80
    (video_start, video_end), (sound_start, sound_end) = starts_and_ends_s(target)
    assert video_end - video_start == pytest.approx(79 / 25, abs=0.01)
    assert sound_end - sound_start < 3.4


@pytest.mark.parametrize("offset_s", [3600, 50_000, 95_000])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".nut", ".ts"])
def test_a_broadcasts_clock_begins_at_0(tmp_path: Path, suffix: str, offset_s: int) -> None:
    source = make_video(tmp_path / "v.ts", TALKING)
    plain = starts_and_ends_s(source)
    for stream in (AUDIO, VIDEO):
        rewrite_times(source, stream, lambda _, time: time + offset_s * TICKS)
    target, report = restored(source, suffix)
    # NUT holds no negative decoding times: all begin two frames later.
    assert min(times_s(target, 0)[0], times_s(target, 1)[0]) == pytest.approx(0, abs=0.085)
    for one, other in zip(starts_and_ends_s(target), plain, strict=True):
        assert one == pytest.approx(other, abs=0.002)
    assert report.shift_s == pytest.approx(-offset_s, abs=2)


def test_mpeg_ts_keeps_its_clock_if_asked(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.ts", TALKING)
    for stream in (AUDIO, VIDEO):
        rewrite_times(source, stream, lambda _, time: time + 50_000 * TICKS)
    target, _ = restored(source, ".ts", keep_start=True)
    assert times_s(target, 0) == pytest.approx(times_s(source, 0), abs=1e-6)


def test_a_late_start_is_kept_where_it_means_something(tmp_path: Path) -> None:
    late = Video(pts=tuple(range(5000, 5400, 40)), time_base=Fraction(1, 1000))
    target, _ = restored(make_video(tmp_path / "v.mkv", late), ".mkv")
    assert times_s(target, 0)[0] == 5


@pytest.mark.parametrize("name", ["v.mkv", "v.nut"])
def test_nobody_means_a_late_start_of_hours(tmp_path: Path, name: str) -> None:
    first = 50_000_000
    late = Video(pts=tuple(range(first, first + 400, 40)), time_base=Fraction(1, 1000))
    target, _ = restored(make_video(tmp_path / name, late), ".mkv")
    assert times_s(target, 0)[0] == 0


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("untimed", [1, 2, 7])
def test_first_times_are_counted_back(tmp_path: Path, suffix: str, untimed: int) -> None:
    source = make_video(tmp_path / "v.ts", replace(TALKING, b_frames=0))
    plain = starts_and_ends_s(source)
    for stream in (AUDIO, VIDEO):
        rewrite_times(source, stream, lambda _, time: time + 5000 * TICKS)
    rewrite_times(source, VIDEO, lambda number, time: None if number < untimed else time)
    target, report = restored(source, suffix)
    assert report.frames == 40
    for one, other in zip(starts_and_ends_s(target), plain, strict=True):
        assert one == pytest.approx(other, abs=0.025)


def packet(
    dts: int | None, duration: int = 1024, tick: Fraction = Fraction(1, 48_000)
) -> Packet[Stream]:
    made = av.Packet(bytes(100))
    made.time_base = tick
    made.dts = made.pts = dts
    made.duration = duration
    return made


def placed(times: list[int | None], tick: Fraction = Fraction(1, 48_000)) -> list[int]:
    clock = PacketClock(tick)
    for time in times:
        clock.place(packet(time))
    return list(clock.shown)


def test_steps_are_of_the_outputs_ticks() -> None:
    # On a clock of milliseconds one tick of 1/48000 s would be a repeat.
    assert placed([0, 1024, 1024, 1025, 3072], Fraction(1, 1000)) == [0, 21, 42, 43, 64]


def test_one_wrong_time_is_where_the_packet_before_it_ends() -> None:
    assert placed([0, 1024, 0, 3072, 4096]) == [0, 1024, 2048, 3072, 4096]


def test_a_run_of_wrong_times_goes_on_until_they_are_right() -> None:
    times = [n * 1024 for n in range(20)]
    wrong = [time - 14_400 if 10 <= number < 15 else time for number, time in enumerate(times)]
    assert placed([*wrong]) == times


def test_what_overlaps_a_little_is_in_step_again_at_once() -> None:
    second = [10 * 1024 - 1500 + n * 1024 for n in range(10)]
    after = placed([*(n * 1024 for n in range(10)), *second])
    assert after[13:] == second[3:]
    assert all(one < other for one, other in pairwise(after))


def test_a_missing_time_follows_the_packet_before_it() -> None:
    assert placed([None, None, 2048, None]) == [0, 1024, 2048, 3072]


def test_a_gap_that_is_not_in_the_file_is_seen() -> None:
    clock = PacketClock(Fraction(1, 8000))
    written = Written()
    for number in range(10):
        clock.place(packet(number * 320 + (16_000 if number > 4 else 0), 320, Fraction(1, 8000)))
    for number in range(5):  # plain samples, cut anew into twice the size, without the gap
        written.shown_s.append(number * 640 / 8000)
        written.bytes.append(200)
    lost, off_s = clock.compared(written)
    assert lost == 0
    assert off_s == pytest.approx(2)


def test_what_is_not_in_the_file_is_counted() -> None:
    clock, written = PacketClock(Fraction(1, 48_000)), Written()
    for number in range(3):
        clock.place(packet(number * 1024))
    written.shown_s.append(0)
    written.bytes.append(100)
    assert clock.compared(written) == (2, 0.0)


def test_where_it_may_short_packets_have_the_time_of_the_one_before() -> None:
    tick = Fraction(1, 1000)
    clock = PacketClock(tick, may_repeat=True)
    times = [number * 5 // 6 for number in range(60)]  # 1200 packets a second, as of TrueHD
    for time in times:
        clock.place(packet(time, 0, tick))
    assert list(clock.shown) == times
    assert clock.moved == 0


def test_where_it_may_a_repeated_time_of_a_longer_packet_is_still_moved() -> None:
    clock = PacketClock(Fraction(1, 1000), may_repeat=True)
    for time in (0, 1024, 1024, 3072):
        clock.place(packet(time))
    assert list(clock.shown) == [0, 21, 42, 64]


def test_sound_that_is_cut_anew_is_where_it_was_up_to_its_end() -> None:
    clock, written, tick = PacketClock(Fraction(1, 8000)), Written(), Fraction(1, 8000)
    for number in range(3):
        clock.place(packet(number * 320, 320, tick))
    for number in range(12):
        written.shown_s.append(number * 80 / 8000)
        written.bytes.append(25)
    assert clock.compared(written) == (0, pytest.approx(0))


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(("rate", "kept"), [(240, True), (480, False)])
def test_a_timecode_is_left_out_of_film_too_fast_for_it(
    suffix: str, rate: int, kept: bool, tmp_path: Path
) -> None:
    video = Video(rate=Fraction(rate), frames=4, metadata={"timecode": "10:00:00:00"})
    source = make_video(tmp_path / "v.mkv", video)
    target, report = restored(source, suffix)
    said = "timecode 10:00:00:00 left out: too many pictures a second"
    assert (said in report.notes) != kept
    with av.open(target) as container:
        said = [stream.metadata.get("timecode") for stream in container.streams]
    assert any(code is not None and code.startswith("10:00:00:00") for code in said) == kept
