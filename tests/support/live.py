"""Live sources on this machine: a camera that sends by UDP, and one that answers RTSP.

Each picture has its number in it, as sixteen black or white stripes, so that whoever receives it
can tell when it was sent, whatever became of its time on the way.
"""

from __future__ import annotations

import socket
import threading
import time
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import OutputContainer
from av.video import VideoStream

from tests.support.ports import free_udp_pair

__all__ = ["Camera", "RtspCamera", "number_of"]

RATE = 25
WIDTH_PX, HEIGHT_PX = 320, 240
_BITS = 16


def _picture(number: int) -> av.VideoFrame:
    picture = av.VideoFrame(WIDTH_PX, HEIGHT_PX, "yuv420p")
    bits = [(number >> bit) & 1 for bit in range(_BITS)]
    row = np.repeat(np.array([40 + 160 * bit for bit in bits], np.uint8), WIDTH_PX // _BITS)
    picture.planes[0].update(np.tile(row, (HEIGHT_PX, 1)).tobytes())
    for plane in picture.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    return picture


def number_of(picture: av.VideoFrame) -> int:
    """Return the number that a picture shows."""
    plane = picture.planes[0]
    luma = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
    stripe_px = picture.width // _BITS
    means = [
        luma[: picture.height, bit * stripe_px : (bit + 1) * stripe_px].mean()
        for bit in range(_BITS)
    ]
    return sum(int(mean > 120) << bit for bit, mean in enumerate(means))


class Camera:
    """Sends pictures in real time from the moment it is entered, in a thread of its own."""

    def __init__(self, url: str, container: str = "mpegts") -> None:
        self._url, self._format = url, container
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.sent_at: dict[int, float] = {}
        """Number of a picture -> when it was sent, by `time.monotonic`."""

    def _send(self) -> None:
        with av.open(self._url, "w", format=self._format) as output:
            stream = self._add_stream(output)
            started = time.monotonic()
            number = 0
            while not self._stop.wait(max(0.0, started + number / RATE - time.monotonic())):
                picture = _picture(number)
                picture.pts, picture.time_base = number, Fraction(1, RATE)
                self.sent_at[number] = time.monotonic()
                output.mux(stream.encode(picture))
                number += 1

    def _add_stream(self, output: OutputContainer) -> VideoStream:
        options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1"}
        stream = output.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        context.gop_size, context.thread_count = RATE // 2, 1
        return stream

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class RtspCamera(Camera):
    """Answers one RTSP client (RFC 2326, over UDP), and sends to it by RTP while it plays."""

    def __init__(self) -> None:
        super().__init__("", "rtp")
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(30)
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/camera"
        self._talk = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._talk.start()
        return self

    def _serve(self) -> None:
        client, _ = self._server.accept()
        client.settimeout(60)
        with self._server, client, client.makefile("r", newline="") as talk:
            while request := talk.readline().split():
                headers: dict[str, str] = {}
                while line := talk.readline().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                more, body = self._answer(request[0], headers)
                lines = ["RTSP/1.0 200 OK", f"CSeq: {headers['cseq']}", *more]
                lines += [f"Content-Length: {len(body)}", "", body]
                client.sendall("\r\n".join(lines).encode())
                if request[0] == "PLAY":
                    self._thread.start()
                elif request[0] == "TEARDOWN":
                    return

    def _answer(self, method: str, headers: dict[str, str]) -> tuple[list[str], str]:
        if method == "OPTIONS":
            return ["Public: DESCRIBE, SETUP, PLAY, TEARDOWN"], ""
        if method == "DESCRIBE":
            said = """v=0|o=- 0 0 IN IP4 127.0.0.1|s=camera|c=IN IP4 127.0.0.1|t=0 0
                |m=video 0 RTP/AVP 96|a=rtpmap:96 H264/90000|a=control:track|"""
            body = "\r\n".join(line.strip() for line in said.split("|"))
            return ["Content-Type: application/sdp"], body
        if method == "SETUP":
            transport = headers["transport"]
            ports = transport.partition("client_port=")[2].partition(";")[0]
            port = int(ports.partition("-")[0])
            self._url = f"rtp://127.0.0.1:{port}?rtcpport={port + 1}"
            return [f"Transport: {transport};server_port={free_udp_pair()}", "Session: 7"], ""
        return ["Session: 7"], ""
