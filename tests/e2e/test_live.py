"""Live sources, for real on this machine: a bound on the latency, an end that saves the file."""

from __future__ import annotations

import logging
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import pytest

from tests.support.live import Camera, RtspCamera, number_of
from tests.support.media import decode_all
from tests.support.ports import free_udp_pair

log = logging.getLogger(__name__)

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "pipeline", "enhance"]
OFF = ["--set", "enhance.weights=bicubic"]
BOUND_S = 2.0


def camera_and_url(kind: str) -> tuple[Camera, str]:
    if kind == "rtsp":
        rtsp = RtspCamera()
        return rtsp, rtsp.url
    url = f"udp://127.0.0.1:{free_udp_pair()}"
    return Camera(f"{url}?pkt_size=1316"), url


class Viewer:
    """Notes when each picture comes out of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.seen_at: dict[int, float] = {}
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        quick = {"probesize": "20000", "analyzeduration": "100000", "fflags": "nobuffer"}
        with av.open(f"pipe:{self._descriptor}", options=quick) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for picture in container.decode(stream):
                self.seen_at[number_of(picture)] = time.monotonic()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("kind", ["udp", "rtsp"])
def test_pictures_come_out_soon_and_an_interrupt_ends_it(kind: str) -> None:
    camera, url = camera_and_url(kind)
    ours, theirs = os.pipe()
    with camera:
        process = subprocess.Popen([*COMMAND, url, "-o", "-", *OFF], stdout=theirs)
        os.close(theirs)
        viewer = Viewer(ours)
        deadline = time.monotonic() + 200
        while len(viewer.seen_at) < 200:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        viewer.join()
    os.close(ours)
    delays_s = [seen - camera.sent_at[n] for n, seen in viewer.seen_at.items()]
    steady_s = delays_s[100:200]
    median_s, worst_s = statistics.median(steady_s), max(steady_s)
    told = "%s: first %.2f s, then median %.3f s, worst %.2f s"
    log.info(told, kind, delays_s[0], median_s, worst_s)
    assert median_s < BOUND_S + 1


def test_a_camera_that_falls_silent_can_be_ended(tmp_path: Path) -> None:
    camera, url = camera_and_url("udp")
    target = tmp_path / "out.mkv"
    part = tmp_path / ".out.mkv.aminet-part"
    with camera:
        process = subprocess.Popen([*COMMAND, url, "-o", str(target), *OFF])
        deadline = time.monotonic() + 200
        while not (part.exists() and part.stat().st_size > 20_000):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    pictures = decode_all(target)
    numbers = [number_of(picture) for picture in pictures]
    assert len(numbers) > 10
    assert numbers == sorted(set(numbers))
    assert not part.exists()
