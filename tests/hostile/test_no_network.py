"""A run over files talks to nobody: counted by the system's own record of its calls."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nodes.track.offline import without_network
from tests.support import ROOT, SAMPLES

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
_REACHED = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*AF_INET")


@LINUX
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_nothing_that_is_called_without_a_network_reaches_one(family: socket.AddressFamily) -> None:
    seen: list[object] = []

    def attempt() -> None:
        try:
            socket.socket(family, socket.SOCK_DGRAM).close()
            seen.append("reached")
        except PermissionError:
            seen.append("refused")

    def both() -> str:
        attempt()
        child = threading.Thread(target=attempt)
        child.start()
        child.join()
        socket.socket(socket.AF_UNIX).close()
        return "answer"

    assert without_network(both) == "answer"
    assert seen == ["refused", "refused"]
    attempt()
    assert seen[-1] == "reached"


def test_what_fails_without_a_network_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        without_network(lambda: 1 // 0)


@LINUX
@pytest.mark.skipif(shutil.which("strace") is None, reason="counts with strace")
@pytest.mark.timeout(600)
def test_a_run_reaches_no_network(tmp_path: Path) -> None:
    """The whole graph: MediaPipe, torch, and all that they start."""
    record = tmp_path / "calls.txt"
    words = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=connect,sendto,sendmsg,sendmmsg",
        "-o",
        str(record),
    ]
    words += [sys.executable, "-m", "pipeline", "enhance", str(SAMPLES / "portrait.mp4")]
    words += ["-o", str(tmp_path / "out.mkv"), "--runner", "local"]
    for setting in ("run.threads=1", "decode.to_s=0.2", "enhance.weights=bicubic"):
        words += ["--set", setting]
    ran = subprocess.run(
        words, check=False, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=500
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out.mkv").exists()
    reached = [line for line in record.read_text().splitlines() if _REACHED.search(line)]
    assert reached == []
