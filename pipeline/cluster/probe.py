"""Checking that a Ray cluster answers at an address, before Ray itself tries to join it.

Ray tries for minutes and ignores signals meanwhile. Its servers speak gRPC, which is HTTP/2: a
server says so at once, before any authentication.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from typing import Final

__all__ = ["asks_for_token", "probe"]

_HOST_AND_PORT: Final = re.compile(r"(?:ray://)?\[?([^\[\]/]+?)\]?:(\d{1,5})")
_ANSWER_S: Final = 15.0
"""How long the head of a cluster, which may be busy, may take to answer, s."""

_ASK_S: Final = 60.0
"""How long the process may take that finds out whether a token is needed, s."""

_EMPTY_SETTINGS: Final = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _EMPTY_SETTINGS
"""The first bytes of a client; source: RFC 9113, section 3.4."""
_TYPE_AT: Final = 3
"""Position of a frame's type; the server's first frame is SETTINGS, too."""


def probe(address: str) -> None:
    """Check that a cluster may be at an address with a host and a port, such as `ray://head:10001`.

    Addresses of other forms, such as `auto`, are not checked.

    Raises:
        OSError: no one answers, or what answers does not speak gRPC.
    """
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None:
        return
    try:
        with socket.create_connection((found[1], int(found[2])), timeout=_ANSWER_S) as connection:
            answer = _first_frame(connection)
    except (OSError, OverflowError) as error:
        raise OSError(
            f"no one answers there ({error}); start the cluster with `ray start --head`, or check"
            " name, port and firewall"
        ) from error
    if answer is not None and answer[_TYPE_AT : _TYPE_AT + 1] != _EMPTY_SETTINGS[_TYPE_AT:][:1]:
        raise OSError("what answers there is not Ray; check the port")


_ASK: Final = """
import sys
from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import GcsClient
GcsClient(address=canonicalize_bootstrap_address(sys.argv[1])).get_all_node_info(timeout=10)
"""


def asks_for_token(address: str) -> bool:
    """Return whether a cluster refuses those who join it without a token.

    A driver that has a token would refuse the workers of a cluster that has none. It is asked in
    another process, because Ray reads the mode of authentication once.

    Args:
        address: as for `ray.init`. Whether the server of a `ray://` address asks for one cannot be
            told; its client may send one that is not asked for, so the answer is True.

    Raises:
        subprocess.TimeoutExpired: it does not answer.
    """
    if address.startswith("ray://"):
        return True
    done = subprocess.run(
        [sys.executable, "-c", _ASK, address],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_ASK_S,
    )
    return "AuthenticationError" in done.stderr


def _first_frame(connection: socket.socket) -> bytes | None:
    """Return the start of what a server says first, None if it can only be asked through TLS."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in {"", "0", "false"}:
        return None
    connection.sendall(_PREFACE)
    return connection.recv(len(_EMPTY_SETTINGS))
