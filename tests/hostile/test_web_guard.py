"""What a source on the web leads to: no address further inside than the one that was named."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nodes.errors import MediaError
from nodes.media import web_guard
from nodes.media.open import open_media
from nodes.media.web_guard import Reach, proxy_options, reach_of
from tests.support.media import Video, make_video

pytestmark = pytest.mark.timeout(60)

OUTSIDE, INSIDE, OWN = "127.0.0.1", "127.0.0.2", "127.0.0.3"
Serve = Callable[..., AbstractContextManager[tuple[str, list[str]]]]


@pytest.fixture(autouse=True)
def reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take three addresses of this machine for a public, a private and its own."""
    known = {OUTSIDE: Reach.PUBLIC, INSIDE: Reach.PRIVATE, OWN: Reach.OWN}
    monkeypatch.setattr(web_guard, "reach_of", lambda address: known[address])
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "")  # is set there, so that it is restored


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serve the folder; the second of the pair lists what was asked for."""

    @contextmanager
    def start(
        host: str, redirects: dict[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> Generator[tuple[str, list[str]]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                to = (redirects or {}).get(self.path)
                file = tmp_path / self.path.lstrip("/").partition("?")[0]
                self.send_response(302 if to else 200 if file.is_file() else 404)
                if to:
                    self.send_header("Location", to)
                content = file.read_bytes() if file.is_file() and not to else b""
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        with HTTPServer((host, 0), Handler) as server:
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"{host}:{server.server_port}", asked
            server.shutdown()

    make_video(tmp_path / "v.ts", Video(frames=5))
    return start


def pictures(url: str) -> int:
    try:
        with open_media(url) as container:
            return len(list(container.decode(video=0)))
    except (MediaError, IndexError, OSError):
        return 0


def playlist(*segments: str) -> str:
    lines = [f"#EXTINF:1,\n{segment}" for segment in segments]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *lines, "#EXT-X-ENDLIST", ""])


@pytest.mark.parametrize(
    ("named", "led_to", "allowed"),
    [
        (OUTSIDE, OUTSIDE, True),
        (OUTSIDE, INSIDE, False),
        (OUTSIDE, OWN, False),
        (INSIDE, OUTSIDE, True),
        (INSIDE, INSIDE, True),
        (INSIDE, OWN, False),
        (OWN, INSIDE, True),
        (OWN, OUTSIDE, True),
    ],
)
@pytest.mark.parametrize("by", ["redirect", "playlist", "redirected playlist", "key"])
def test_a_source_leads_no_further_inside_than_it_is(
    named: str,
    led_to: str,
    allowed: bool,
    by: str,
    serve: Serve,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serve(led_to) as (there, asked_there):
        redirects = {"/r.ts": f"http://{there}/v.ts", "/r.m3u8": f"http://{there}/there.m3u8"}
        with serve(named, redirects) as (here, asked_here):
            (tmp_path / "there.m3u8").write_text(playlist("v.ts"))
            key = f'#EXT-X-KEY:METHOD=AES-128,URI="http://{there}/key"\n'
            (tmp_path / "l.m3u8").write_text(
                playlist(f"http://{there}/v.ts")
                if by == "playlist"
                else playlist("v.ts").replace("#EXTINF", f"{key}#EXTINF")
            )
            url = {"redirect": "r.ts", "redirected playlist": "r.m3u8"}.get(by, "l.m3u8")
            found = pictures(f"http://{here}/{url}")
    assert asked_here
    assert bool(asked_there) == allowed
    if by != "key":  # that one is no key at all
        assert found == (5 if allowed else 0)
    assert ("further inside" in caplog.text) == (not allowed)


def test_a_web_source_is_read_through_the_guard_and_sought_in(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`no_proxy` would have libav pass it by."""
    make_video(tmp_path / "v.mp4", Video(frames=5))
    monkeypatch.setenv("no_proxy", f"{OUTSIDE},{INSIDE}")
    with serve(INSIDE) as (there, asked), serve(OUTSIDE, {"/r": f"http://{there}/v.mp4"}) as (h, _):
        assert pictures(f"http://{h}/v.mp4?a=b#c") == 5
        assert pictures(f"http://{h}/r") == 0
    assert asked == []


def test_tls_goes_through_the_guard_too(serve: Serve, tmp_path: Path) -> None:
    with (
        serve(INSIDE) as (there, asked),
        serve(OUTSIDE, {"/r.ts": f"https://{there}/v.ts"}, certified(tmp_path)) as (here, _),
    ):
        assert pictures(f"https://{here}/v.ts") == 5
        assert pictures(f"https://{here}/r.ts") == 0
    assert asked == []


def certified(folder: Path) -> ssl.SSLContext:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = folder / "server.pem"
    file.write_bytes(key.private_bytes(pem, pkcs8, plain) + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_nobody_else_can_use_the_guard(serve: Serve) -> None:
    port = int(proxy_options(f"http://{OUTSIDE}/")["http_proxy"].rpartition(":")[2])
    with serve(OUTSIDE) as (here, asked):
        for request in (f"GET http://{here}/v.ts HTTP/1.1", f"CONNECT {here} HTTP/1.1"):
            for more in ("", "Proxy-Authorization: Basic UFVCTElDOng=\r\n"):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                    client.sendall(f"{request}\r\nHost: x\r\n{more}\r\n".encode())
                    assert client.recv(100).startswith(b"HTTP/1.0 407")
    assert asked == []


def test_a_proxy_of_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert proxy_options(f"http://{OUTSIDE}/") == {}


def test_a_host_that_is_not_found_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(MediaError):
        open_media("http://no-such-host.invalid/v.ts")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1111", Reach.PUBLIC),
        ("10.1.2.3", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE),
        ("192.168.1.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd00::1", Reach.PRIVATE),
        ("127.8.9.1", Reach.OWN),
        ("0.0.0.0", Reach.OWN),  # noqa: S104 - connects to this machine
        ("169.254.169.254", Reach.OWN),
        ("224.0.0.1", Reach.OWN),
        ("::1", Reach.OWN),
        ("::", Reach.OWN),
        ("fe80::1%eth0", Reach.OWN),
        ("::ffff:127.0.0.1", Reach.OWN),
        ("::ffff:10.0.0.1", Reach.PRIVATE),
        ("64:ff9b::7f00:1", Reach.OWN),
        ("64:ff9b:1::7f00:1", Reach.OWN),
        ("64:ff9b::808:808", Reach.PUBLIC),
        ("::7f00:1", Reach.OWN),
        ("::ffff:0:7f00:1", Reach.OWN),
        ("::ffff:0:a00:1", Reach.PRIVATE),
        ("fec0::1", Reach.PRIVATE),
        ("5f00::1", Reach.PRIVATE),
        ("2002:7f00:1::", Reach.OWN),
    ],
)
def test_how_far_inside_an_address_is(address: str, expected: Reach) -> None:
    assert reach_of(address) is expected
