"""MediaPipe without a network: its wheels send usage data to Google, and there is no switch for it.

Source: https://github.com/google-ai-edge/mediapipe/issues/6291.
"""

from __future__ import annotations

import ctypes
import logging
import platform
import socket
import struct
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

__all__ = ["without_network"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

# <linux/audit.h>, and the number of `socket` in each machine's table of system calls.
_MACHINES: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}

# <linux/bpf_common.h>, <linux/seccomp.h>, <linux/prctl.h>
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 13  # EACCES
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def without_network(call: Callable[[], T]) -> T:
    """Call something in a thread that can reach no network, nor can any thread that it starts.

    Linux on x86-64 and ARM64; elsewhere, and where the kernel refuses the filter, it is a plain
    call. Threads that are there already keep what they may.

    Raises:
        Exception: what `call` raises.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            if not _close_network():
                _log.debug("this system has no filter for network calls: MediaPipe may make some")
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for it
            answer.set_exception(error)

    thread = threading.Thread(target=run, name="without network")
    thread.start()
    thread.join()
    return answer.result()


def _close_network() -> bool:
    """Make `socket` fail in this thread for addresses of a network; say whether that worked."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    machine, number = _MACHINES[platform.machine()]
    steps = (
        (_LOAD, 0, 0, 4),  # the machine's kind
        (_IF_EQUAL, 0, 5, machine),
        (_LOAD, 0, 0, 0),  # the call's number
        (_IF_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, 16),  # its first argument: the family of addresses
        (_IF_EQUAL, 2, 0, socket.AF_INET),
        (_IF_EQUAL, 1, 0, socket.AF_INET6),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    return (
        libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0
    )
