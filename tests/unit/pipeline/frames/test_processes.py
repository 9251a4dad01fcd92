"""`Enhancer` and processes: forked ones, and those that end with a stream open."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import pytest

import pipeline
from aminet.device import resolve_device
from aminet.errors import DeviceError
from tests.unit.pipeline.frames.test_enhancer import COPY, noise

LEAVE_A_STREAM = """
import atexit, os, threading
# What is registered first is called last.
atexit.register(lambda: os._exit(3 * any(t.name == "aminet-stream" for t in threading.enumerate())))
import numpy as np, pipeline
nodes = {
    "decode": {"type": "aminet.decode"},
    "encode": {"type": "aminet.encode", "inputs": {"frames": "decode.frames"}},
}
enhancer = pipeline.Enhancer(graph={"name": "copy", "nodes": nodes})
picture = np.zeros((16, 16, 3), np.uint8)
stream = enhancer.stream(picture for _ in range(1000))
assert next(stream).shape == (16, 16, 3)
"""
"""Ends with 3 if a thread of the stream is at work when the interpreter is taken down."""


def said_by_child(act: Callable[[], object]) -> str:
    """Return what a call raises in a forked process."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def run(answer: Connection) -> None:
        try:
            act()
        except (DeviceError, RuntimeError) as error:
            answer.send(str(error))
        else:
            answer.send("")

    process = multiprocessing.get_context("fork").Process(target=run, args=(theirs,), daemon=True)
    process.start()
    assert ours.poll(30), "the forked process waits for ever"
    said = str(ours.recv())
    process.join(10)
    return said


def test_a_forked_process_makes_its_own_instead_of_waiting_for_ever() -> None:
    with pipeline.Enhancer(graph=COPY) as enhancer:
        assert "made by another process" in said_by_child(lambda: enhancer(noise(1)))
        assert np.array_equal(enhancer(noise(1)), noise(1))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_process_forked_from_one_that_runs_networks_is_told(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    assert resolve_device("cpu").type == "cpu"
    said = said_by_child(lambda: resolve_device("cpu"))
    assert ("was forked" in said) == (threads > 1)


def test_a_program_that_leaves_a_stream_open_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE_A_STREAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
