"""Keeping web sources from leading to addresses further inside than the one that was named.

A server may redirect, and a playlist names more addresses; libav follows both. Its requests go
through a proxy in this process, which resolves each host once, refuses addresses that are not
allowed, and connects to the address that it has checked. Nobody else can use the proxy: it asks for
a password. If the environment names a proxy (`http_proxy`), that one is used and decides instead.
"""

from __future__ import annotations

import base64
import hmac
import logging
import os
import secrets
import selectors
import socket
import threading
from collections.abc import Iterator
from enum import IntEnum
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

__all__ = ["Reach", "proxy_options", "reach_of"]

log = logging.getLogger(__name__)

CONNECT_S: Final = 20.0
"""How long a server may take to accept a connection, s."""
SILENT_S: Final = 90.0
"""How long a connection may carry nothing, s; libav gives up earlier."""

_CHUNK_BYTES: Final = 1 << 16
_EMBEDDING: Final = tuple(
    IPv6Network(prefix) for prefix in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
)
"""IPv6 networks whose addresses end with an IPv4 address: of NAT64, and of older translations."""

_UNICAST: Final = IPv6Network("2000::/3")
"""Where all public IPv6 addresses are."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_DROPPED: Final = frozenset({"connection", "proxy-connection", "proxy-authorization", "keep-alive"})
"""Headers for the proxy itself."""


class Reach(IntEnum):
    """How far inside an address is."""

    PUBLIC = 0
    PRIVATE = 1
    """Of a private network."""
    OWN = 2
    """Of this machine, or of its link, such as a cloud's metadata server."""


def proxy_options(url: str) -> dict[str, str]:
    """Return the options with which libav reads a web source through the proxy.

    Empty for other sources, for those on this machine, which may lead anywhere, and if the
    environment names a proxy.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in _DEFAULT_PORTS or os.environ.get("http_proxy"):
        return {}
    try:
        named = max(reach_of(address) for address in _addresses(parts.hostname or ""))
    except OSError:
        named = Reach.PUBLIC  # it is not found, which the proxy will say, too
    if named is Reach.OWN:
        return {}
    # libav would pass the proxy by for these hosts; other programs read the upper case as well.
    if (exempt := os.environ.pop("no_proxy", None)) is not None:
        os.environ.setdefault("NO_PROXY", exempt)
    return {"http_proxy": _proxy().url(named)}


def reach_of(address: str) -> Reach:
    """Return how far inside a numeric address is."""
    found = _unwrapped(ip_address(address.partition("%")[0]))
    if found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast:
        return Reach.OWN
    is_public = found.is_global and (isinstance(found, IPv4Address) or found in _UNICAST)
    return Reach.PUBLIC if is_public else Reach.PRIVATE


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address) or address.is_loopback:
        return address
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@cache
def _proxy() -> _Proxy:
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    threading.Thread(target=proxy.serve_forever, name="web guard", daemon=True).start()
    return proxy


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    _password = secrets.token_urlsafe(24)

    def url(self, allowed: Reach) -> str:
        """Return its URL for requests that may go as far inside as that."""
        return f"http://{allowed.name}:{self._password}@127.0.0.1:{self.server_address[1]}"

    def allowed(self, authorization: str) -> Reach | None:
        """Return how far inside a request may go, None if it is nobody's who has the password."""
        for reach in Reach:
            words = base64.b64encode(f"{reach.name}:{self._password}".encode()).decode()
            if hmac.compare_digest(authorization.encode(), f"Basic {words}".encode()):
                return reach
        return None


class _Handler(BaseHTTPRequestHandler):
    """Answers one request of libav: GET for http, CONNECT for https."""

    timeout = SILENT_S
    server: _Proxy  # pyright: ignore[reportIncompatibleVariableOverride] - there is no other

    def do_GET(self) -> None:
        """Hand on a request, without its proxy headers, and the answer as it is."""
        parts = urlsplit(self.path)
        far = self._connect(parts.hostname, parts.port or _DEFAULT_PORTS["http"])
        if far is None:
            return
        path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        kept = [(key, value) for key, value in self.headers.items() if key.lower() not in _DROPPED]
        lines = [f"GET {path} HTTP/1.1", *(f"{key}: {value}" for key, value in kept)]
        with far:
            far.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
            _relay({far: self.connection, self.connection: far})

    def do_CONNECT(self) -> None:
        """Open a tunnel for TLS."""
        parts = urlsplit(f"//{self.path}")
        far = self._connect(parts.hostname, parts.port or _DEFAULT_PORTS["https"])
        if far is None:
            return
        with far:
            self.send_response(200, "Connection established")
            self.end_headers()
            _relay({far: self.connection, self.connection: far})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Log for developers only."""
        log.debug(format, *args)

    def _connect(self, host: str | None, port: int) -> socket.socket | None:
        """Return a connection; else, the request has been answered by the reason."""
        self.close_connection = True
        allowed = self.server.allowed(self.headers.get("Proxy-Authorization", ""))
        if allowed is None:
            self._answer(407, ("Proxy-Authenticate", 'Basic realm="aminet"'))
            return None
        try:
            addresses = _addresses(host or "")
            within = [address for address in addresses if reach_of(address) <= allowed]
            for address in within:
                return socket.create_connection((address, port), timeout=CONNECT_S)
        except OSError as error:
            log.debug("%s:%s", host, port, exc_info=error)
            self._answer(502)
            return None
        log.warning(
            "%s:%s: a source on the web led there, further inside than its own address: refused",
            host,
            port,
        )
        self._answer(403)
        return None

    def _answer(self, code: int, *headers: tuple[str, str]) -> None:
        self.send_response(code)
        for key, value in (*headers, ("Content-Length", "0"), ("Connection", "close")):
            self.send_header(key, value)
        self.end_headers()


def _relay(to: dict[socket.socket, socket.socket]) -> None:
    """Hand on bytes between two sockets until one of them ends or is silent for `SILENT_S`."""
    with selectors.DefaultSelector() as waiting:
        for end in to:
            waiting.register(end, selectors.EVENT_READ)
        for end in _readable(waiting):
            try:
                chunk = end.recv(_CHUNK_BYTES)
                to[end].sendall(chunk)
            except OSError:
                return
            if not chunk:
                return


def _readable(waiting: selectors.BaseSelector) -> Iterator[socket.socket]:
    while ready := waiting.select(SILENT_S):
        for key, _ in ready:
            assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - for the type checker
            yield key.fileobj
