"""Threads share malloc arenas, unless the environment says otherwise."""

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
