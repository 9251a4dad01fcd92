"""A real S3 server for tests: moto's, in a process of its own on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch

from tests.support.ports import free_ports

__all__ = ["s3_server"]


@contextmanager
def s3_server() -> Generator[str]:
    """Run a server and point everything that speaks S3 to it; yields a bucket's URL."""
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    aws = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with patch.dict(os.environ, aws):
            _wait_for(server, endpoint)
            request = urllib.request.Request(f"{endpoint}/footage", method="PUT")  # noqa: S310
            urllib.request.urlopen(request).close()  # noqa: S310
            yield "s3://footage"
    finally:
        server.terminate()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], endpoint: str, deadline_s: float = 60) -> None:
    end = time.monotonic() + deadline_s
    while True:
        try:
            urllib.request.urlopen(endpoint).close()  # noqa: S310
        except OSError:
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return
