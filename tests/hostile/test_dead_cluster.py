"""Addresses at which there is no cluster."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline import interrupts
from pipeline.cluster import probe as probing
from pipeline.cluster import session
from pipeline.config import load_config
from pipeline.errors import ClusterError, ConfigError


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        yield held.getsockname()[1]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "no-such-host.invalid:{}"])
def test_a_dead_address_is_said_at_once(form: str, closed_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(ClusterError, match="no one answers there") as caught:
        session.connect(form.format(closed_port), threads=1)
    assert time.monotonic() - started < 30
    assert "RAY_AUTH_MODE" in str(caught.value)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"", None]
)
def test_a_server_that_is_not_ray_is_said_at_once(
    words: bytes | None, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_ANSWER_S", 0.3)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        served = threads.submit(_serve, server, words)
        with pytest.raises(ClusterError, match=r"not Ray|no one answers"):
            session.connect(form.format(server.getsockname()[1]), threads=1)
        served.result(timeout=10)


def _serve(server: socket.socket, words: bytes | None) -> None:
    """Say these words to one client, or, without any, nothing until it is gone."""
    connection, _ = server.accept()
    with connection:
        if words is not None:
            connection.recv(1 << 10)
            connection.sendall(words)
            return
        while connection.recv(1 << 10):
            pass


@pytest.mark.parametrize(
    "address",
    [
        *("", " ", "garbage", "127.0.0.1", "127.0.0.1:", ":6379", "ray://", "ray://:1", "local"),
        *("127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:abc", "a:1\n", "a:1 b:2"),
        *("http://a:1", "\x1b[31mx:1", "user:pw@a:1", "a:\u0661", "::1", "a" * 3000 + ":1"),
    ],
)
def test_what_is_no_address_is_usage(address: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST:PORT") as caught:
        load_config(None, ("run.address=" + json.dumps(address),))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "address",
    ["auto", "head:6379", "10.0.0.1:6379", "ray://head.cluster.local:10001", "[::1]:6379"],
)
def test_an_address_is_taken(address: str) -> None:
    assert load_config(None, ("run.address=" + json.dumps(address),)).run.address == address


def test_grpc_is_taken_for_ray() -> None:
    settings = bytes((0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 64, 0))
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        served = threads.submit(_serve, server, settings)
        probing.probe(f"127.0.0.1:{server.getsockname()[1]}")
        served.result(timeout=10)


def test_the_whole_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**settings: object) -> None:
        raise ConnectionError("the first line\n  and what to do: set the token\n")

    monkeypatch.setattr(session, "_init", refuse)
    monkeypatch.setattr(session, "maybe_enable_token_auth_if_token_available", lambda **_: False)
    with pytest.raises(ClusterError, match="the first line and what to do: set the token;"):
        session.connect("auto", threads=1)


@pytest.mark.parametrize(
    ("address", "asks", "used"),
    [("auto", True, True), ("auto", False, False), (None, True, False)],
)
def test_a_token_is_used_to_join_a_cluster_that_asks_for_one(
    address: str | None, asks: bool, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(session, "asks_for_token", lambda _: asks)
    monkeypatch.setattr(session, "_init", lambda **_: calls.append("init"))
    monkeypatch.setattr(
        session,
        "maybe_enable_token_auth_if_token_available",
        lambda **_: calls.append("token"),
    )
    assert session.connect(address, threads=1)
    assert calls == (["token", "init"] if used else ["init"])


def test_that_a_cluster_asks_for_a_token_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("Failed to connect")

    monkeypatch.setattr(session, "asks_for_token", lambda _: True)
    monkeypatch.setattr(session, "probe", lambda _: None)
    monkeypatch.setattr(session, "_init", refuse)
    with pytest.raises(ClusterError, match="asks for a token, of which this"):
        session.connect("127.0.0.1:6379", threads=1)


def test_the_wait_for_an_answer_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job starts its runner where signals are postponed."""
    allowed: list[bool] = []
    monkeypatch.setattr(session, "probe", lambda _: allowed.append(interrupts._state.allowed))
    monkeypatch.setattr(session, "asks_for_token", lambda _: True)
    monkeypatch.setattr(session, "_init", lambda **_: None)
    monkeypatch.setattr(session, "maybe_enable_token_auth_if_token_available", lambda **_: False)
    with interrupts.postponed():
        session.connect("127.0.0.1:1", threads=1)
    assert allowed == [True]
