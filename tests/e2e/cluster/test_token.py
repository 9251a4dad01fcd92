"""Whether a cluster asks for a token is found out before it is joined."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray.util import get_node_ip_address

from pipeline.cluster.probe import asks_for_token, probe
from tests.support.ports import free_ports

pytestmark = pytest.mark.slow


@contextmanager
def head(mode: str) -> Generator[str]:
    """Run a cluster's head with or without authentication; yields its address."""
    (port,) = free_ports(1)
    address = f"{get_node_ip_address()}:{port}"
    # Ray's sockets lie below it, whose names must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        token = Path(folder, "token")
        token.write_text("0123456789abcdef" * 2, encoding="utf-8")
        words = ["start", "--head", "--block", f"--port={port}", "--num-cpus=1"]
        words += ["--include-dashboard=false", f"--temp-dir={folder}/r"]
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), *words],
            env={**os.environ, "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(token)},
            stdout=subprocess.DEVNULL,
        )
        try:
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.mark.parametrize(("mode", "asks"), [("token", True), ("disabled", False)])
def test_a_cluster_is_asked_whether_it_wants_a_token(mode: str, asks: bool) -> None:
    with head(mode) as address:
        end = time.monotonic() + 60
        while True:
            try:
                probe(address)
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.2)
        assert asks_for_token(address) is asks
