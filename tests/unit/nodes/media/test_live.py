"""Packets of a live source: taken at once, stamped, and no obstacle to ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Stream

from nodes.decode import DecodeConfig
from nodes.media.live import LivePackets
from nodes.node import Segment
from pipeline.stream.nodes import StreamDecode
from tests.support.media import Video, make_video


def packets(count: int, error: Exception | None = None) -> Iterator[Packet[Stream]]:
    for number in range(count):
        yield av.Packet(bytes([number]))
    if error is not None:
        raise error


def test_packets_are_taken_while_nobody_looks() -> None:
    began = time.monotonic()
    live = LivePackets(packets(3), threading.Event())
    time.sleep(0.3)
    contents = [bytes(packet) for packet in live]
    assert contents == [b"\0", b"\1", b"\2"]
    assert live.arrived_s - began < 0.25
    assert live.close()


def test_an_error_comes_after_what_could_be_read() -> None:
    live = LivePackets(packets(2, OSError("gone")), threading.Event())
    got = iter(live)
    assert [bytes(next(got)), bytes(next(got))] == [b"\0", b"\1"]
    with pytest.raises(OSError, match="gone"):
        next(got)


def test_a_silent_source_can_be_ended_and_is_left_open() -> None:
    ended, wakes = threading.Event(), threading.Event()

    def silent() -> Iterator[Packet[Stream]]:
        yield av.Packet(b"first")
        wakes.wait(30)

    live = LivePackets(silent(), ended)
    got = iter(live)
    assert bytes(next(got)) == b"first"
    threading.Timer(0.2, ended.set).start()
    assert list(got) == []
    assert not live.close()
    wakes.set()


@pytest.mark.parametrize("bound_s", [0.2, None])
def test_frames_that_come_too_late_are_left_out_and_counted(
    tmp_path: Path, bound_s: float | None
) -> None:
    source = make_video(tmp_path / "v.mkv", Video(frames=10))
    node = StreamDecode(DecodeConfig(), live=True, max_latency_s=bound_s)
    node.open(Segment(str(source), tmp_path, 1), {})
    frames = node.packets()
    next(frames)
    time.sleep(0.4)
    rest = list(frames)
    node.close()
    report = node.report()
    if bound_s is None:
        assert len(rest) == 9
        assert "late" not in report
    else:
        assert len(rest) + report["late"] == 9
        assert report["late"] >= 8
        assert any("to stay within 0.2 s" in line for line in report["warnings"])
