"""Ports of this machine on which nobody listens."""

from __future__ import annotations

import socket
import time

__all__ = ["free_ports", "free_udp_pair"]


def free_ports(count: int) -> list[int]:
    """Return so many TCP ports, all different; somebody else may take one before it is used."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def free_udp_pair() -> int:
    """Return an even UDP port that is free, as is the next one: RTP and its RTCP."""
    for port in range(20_000 + 2 * (time.time_ns() % 10_000), 60_000, 2):
        try:
            with (
                socket.socket(type=socket.SOCK_DGRAM) as rtp,
                socket.socket(type=socket.SOCK_DGRAM) as rtcp,
            ):
                rtp.bind(("127.0.0.1", port))
                rtcp.bind(("127.0.0.1", port + 1))
        except OSError:
            continue
        return port
    raise OSError("no free pair of UDP ports")
