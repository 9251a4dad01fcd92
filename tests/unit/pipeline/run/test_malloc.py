"""Threads share malloc arenas, unless the environment says otherwise; free pages are returned."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="speaks of glibc's allocator",
)

PROGRAM = """
import ctypes, sys, tempfile, threading
from pipeline.run.malloc import limit_malloc_arenas

done = limit_malloc_arenas() if sys.argv[1] == "share" else None
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
gate = threading.Barrier(7)

def use():
    libc.malloc(1000)
    gate.wait()
    gate.wait()

for _ in range(6):
    threading.Thread(target=use).start()
gate.wait()
with tempfile.NamedTemporaryFile("r") as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(done, file.read().count("<heap nr="))
gate.wait()
"""


def told(word: str, **environment: str) -> tuple[str, int]:
    """Return what the call said, and how many heaps six threads had."""
    command = [sys.executable, "-c", PROGRAM, word]
    ran = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | environment
    )
    done, heaps = ran.stdout.split()
    return done, int(heaps)


def test_six_threads_share_two_arenas() -> None:
    assert told("leave")[1] > 2
    assert told("share") == ("True", 2)


def test_what_the_environment_says_of_the_arenas_holds() -> None:
    assert told("share", MALLOC_ARENA_MAX="4") == ("False", 4)
    assert told("share", GLIBC_TUNABLES="glibc.malloc.arena_max=3") == ("False", 3)
    assert told("share", GLIBC_TUNABLES="glibc.pthread.rseq=0") == ("True", 2)


HOLES = """
from pathlib import Path
from pipeline.run.malloc import FreeMemory

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

blocks = [bytearray(65_536) for _ in range(2_000)]
kept = blocks[::20]
blocks.clear()
before = resident_mib()
memory = FreeMemory(interval_s=3600)
memory.give_back_sometimes()
early = resident_mib()
memory.give_back()
print(before - early, early - resident_mib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_between_blocks_that_are_used_are_returned() -> None:
    command = [sys.executable, "-c", HOLES]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    early_mib, returned_mib = map(int, ran.stdout.split())
    assert early_mib < 10  # not before its time
    assert returned_mib > 80  # of 125
