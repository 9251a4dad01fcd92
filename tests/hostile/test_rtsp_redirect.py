"""An RTSP server cannot lead to another address: libav follows no redirect, at either question."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from nodes.errors import MediaError
from nodes.media.open import open_media

pytestmark = pytest.mark.filterwarnings("default")


class Server:
    """Redirects the questions of one method to an address, and notes all that it is asked."""

    def __init__(self, redirected: str, location: str) -> None:
        self.asked: list[str] = []
        self._redirected, self._location = redirected, location
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/live"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                while question := connection.recv(4096):
                    connection.sendall(self._answer(question.decode()))

    def _answer(self, question: str) -> bytes:
        lines = question.split("\r\n")
        method = lines[0].split(" ")[0]
        self.asked.append(method)
        number = next(line for line in lines if line.lower().startswith("cseq"))
        said = ["RTSP/1.0 200 OK", number, "Public: OPTIONS, DESCRIBE"]
        if method == self._redirected:
            said = ["RTSP/1.0 302 Moved", number, f"Location: {self._location}"]
        return "\r\n".join([*said, "", ""]).encode()


@contextmanager
def server(redirected: str = "", location: str = "") -> Generator[Server]:
    serving = Server(redirected, location)
    try:
        yield serving
    finally:
        serving.close()


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE"])
@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "file"])
def test_an_rtsp_redirect_is_not_followed(method: str, scheme: str) -> None:
    with server() as other:
        location = f"{scheme}:{other.url.removeprefix('rtsp:')}"
        with server(method, location) as first:
            with pytest.raises(MediaError, match="not a media file"), open_media(first.url):
                pass
            assert method in first.asked
            assert not other.asked
