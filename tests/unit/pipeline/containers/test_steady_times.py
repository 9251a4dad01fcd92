"""A single damaged time of sound, far ahead, leaves all other sound where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Stream

from nodes.encode import EncodeConfig
from pipeline.containers.packet_clock import SteadyTimes
from tests.support.media import AudioTrack, Video, make_video, packets_of
from tests.support.transport import rewrite_times
from tests.support.video_nodes import round_trip

SOUND = Video(frames=50, audio=(AudioTrack("mp2", duration_s=2.0),))
SOUND_ID = 0xC0


def times_s(path: Path) -> list[float]:
    return [float(time_s) for time_s, _ in packets_of(path, 1)]


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
@pytest.mark.parametrize("wrong", [3, 40])
@pytest.mark.parametrize("ahead_s", [0.3, 900])
def test_the_sound_after_a_wrong_time_stays_in_its_place(
    tmp_path: Path, suffix: str, wrong: int, ahead_s: float
) -> None:
    source = make_video(tmp_path / "v.ts", SOUND)
    kept, _ = round_trip(source, tmp_path, suffix, EncodeConfig())
    expected = times_s(kept)
    assert len(expected) > 50

    def ahead(number: int, time: int) -> int:
        return time + round(90_000 * ahead_s) * (number == wrong)

    rewrite_times(source, SOUND_ID, ahead)
    made, report = round_trip(source, tmp_path, suffix, EncodeConfig())
    got = times_s(made)
    shift_s = got[-1] - expected[-1]
    assert abs(shift_s) < 0.1
    assert got == pytest.approx([time_s + shift_s for time_s in expected], abs=0.03)
    assert any("far ahead of the next: moved back" in note for note in report.notes)


def packets(*starts: int | None) -> Iterator[Packet[Stream]]:
    """Yield packets of ten ticks with these times, in ticks."""
    with av.open("/dev/null", "w", format="null") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        for start in starts:
            packet: Packet[Stream] = Packet(b"\0\0")
            packet.stream, packet.time_base = stream, Fraction(1, 100)
            packet.pts = packet.dts = start
            packet.duration = 10
            yield packet


def placed(*starts: int | None) -> list[int | None]:
    """Return the times that packets with these times get."""
    steady = SteadyTimes()
    ready = [made for packet in packets(*starts) for made in steady.push(packet)]
    return [packet.pts for packet in (*ready, *steady.end())]


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ((0, 10, 900, 30, 40), [0, 10, 20, 30, 40]),
        ((0, 10, 900, None, 40), [0, 10, 20, None, 40]),
        ((900, 10, 20), [0, 10, 20]),
        ((0, 10, 500, 510, None), [0, 10, 500, 510, None]),
        ((0, 500), [0, 500]),
        ((500, 510), [500, 510]),
        ((50,), [50]),
        ((None, None), [None, None]),
        ((0, 500, 400, 410), [0, 10, 400, 410]),
        ((0, 15, 25), [0, 15, 25]),
    ],
)
def test_what_goes_on_after_a_gap_is_believed(
    starts: tuple[int | None, ...], expected: list[int | None]
) -> None:
    assert placed(*starts) == expected


def test_sound_without_times_is_not_held_for_ever() -> None:
    steady = SteadyTimes()
    ready = [made for packet in packets(0, *[None] * 1000) for made in steady.push(packet)]
    assert len(ready) == 1001
