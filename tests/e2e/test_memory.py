"""Memory does not grow with the length of a video, and no frame touches the disk."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import CodecContext
from av.container import Container
from av.packet import Packet
from av.video import VideoStream

from nodes.node import Segment
from pipeline.config import RunOptions, load_config, load_graph
from pipeline.graph.prepare import prepared
from pipeline.run.local import LocalRunner
from pipeline.run.task import SegmentTask
from tests.support import SAMPLES

log = logging.getLogger(__name__)

SAMPLE = SAMPLES / "street.mp4"
LEAST_WIDTH_PX = 320
"""Of a picture that is more than a face."""

WIDTH_PX, HEIGHT_PX, RATE = 1920, 1080, 2
FRAME_BYTES = WIDTH_PX * HEIGHT_PX * 3 // 2
AT_ONCE = ("--runner", "local", "--set", "run.threads=2", "--set", "encode.preset=ultrafast")


def recording(path: Path, length_s: int) -> Path:
    """A dull 1080p recording at two frames a second: a light that wanders over a gray wall."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    wall = (96 + 32 * np.sin(x / 90) + 16 * np.cos(y / 50)).astype(np.uint8)
    with av.open(path, "w") as container:
        options = {"preset": "ultrafast", "crf": "30"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        context.gop_size = 10 * RATE
        for number in range(length_s * RATE):
            picture = av.VideoFrame(WIDTH_PX, HEIGHT_PX, "yuv420p")
            luma = wall.copy()
            left = 16 * number % (WIDTH_PX - 64)
            luma[500:564, left : left + 64] += 60
            picture.planes[0].update(luma.tobytes())
            for plane in picture.planes[1:]:
                plane.update(bytes([128]) * plane.buffer_size)
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def run(source: Path, target: Path) -> tuple[float, int]:
    """Return the peak resident memory in MiB, and the bytes written by the process."""
    command = [sys.executable, "-m", "pipeline", "enhance", str(source), "-o", str(target)]
    process = subprocess.Popen([*command, *AT_ONCE], stdout=subprocess.DEVNULL)
    written = 0
    counters = Path(f"/proc/{process.pid}/io")
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            assert os.waitstatus_to_exitcode(status) == 0
            process.returncode = 0
            return usage.ru_maxrss / 1024, written
        fields = dict(line.split(": ") for line in counters.read_text().splitlines() if line)
        written = max(written, int(fields.get("wchar", 0)))
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_minutes_need_no_more_memory_than_one(tmp_path: Path) -> None:
    results = {}
    for minutes in (1, 10):
        source = recording(tmp_path / f"{minutes}.mp4", 60 * minutes)
        target = tmp_path / "out" / source.name
        peak_mib, written = run(source, target)
        log.info("%d min: peak %.0f MiB, %.1f MiB written", minutes, peak_mib, written / 2**20)
        results[minutes] = peak_mib
        # Segments and the finished file: nothing of the size of frames.
        assert written < 3 * target.stat().st_size + 2**20
        assert written < 60 * minutes * RATE * FRAME_BYTES / 50
    assert results[10] < 1.05 * results[1], results


def held() -> Counter[str]:
    """Count what holds media: files, decoders, encoders, whole pictures."""
    kinds = (Container, CodecContext, av.VideoFrame, Packet)
    # By `type`, as asking lazy modules for their class makes them warn.
    things = [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]
    # The sheet keeps some shots of faces until its next segment.
    whole = [t for t in things if not isinstance(t, av.VideoFrame) or t.width >= LEAST_WIDTH_PX]
    return Counter(type(thing).__name__ for thing in whole)


def test_a_finished_segment_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    settings = ("params.weights=bicubic", "decode.to_s=1", "encode.preset=ultrafast")
    graph = load_graph(load_config(settings=settings))
    segment = Segment(str(SAMPLE), tmp_path, threads=2)
    with LocalRunner(graph, prepared(graph), RunOptions(), threads=2) as runner:
        gc.collect()
        before = held()
        gc.disable()
        try:
            (outcome,) = runner.run([SegmentTask(segment)], lambda _task, _progress: None)
            left = held() - before
        finally:
            gc.enable()
    assert outcome.result is not None, outcome.error
    assert outcome.result.progress.faces, "no faces were restored: this shows nothing"
    assert not left
