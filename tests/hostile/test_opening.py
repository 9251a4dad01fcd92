"""Names and files that made libav reach out, read others' files, or draw text as pictures."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image

from nodes.errors import MediaError
from nodes.media.open import open_media, video_stream
from nodes.media.urls import is_url
from pipeline.containers.probe import is_media
from pipeline.stream.job import is_stream
from tests.support.media import Video, decode_all, make_video

TINY = Video(frames=5)


class Asked(BaseHTTPRequestHandler):
    """Serves the files of a folder, and notes who asked for what."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        """Serve a file."""
        self.asked.append(self.path)
        path = self.folder / self.path.lstrip("/")
        content = path.read_bytes() if path.is_file() else b""
        self.send_response(200 if path.is_file() else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Be silent."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str], Path]]:
    """Address, requests that came, and the folder that is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked: list[str] = []
    handler = type("Handler", (Asked,), {"folder": folder, "asked": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}", asked, folder
        http.shutdown()


def playlist(*segments: str) -> str:
    lines = [f"#EXTINF:1,\n{segment}" for segment in segments]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *lines, "#EXT-X-ENDLIST", ""])


def lists(video: Path, address: str) -> dict[str, str]:
    """Contents that make libav read other files and addresses."""
    return {
        "hls-file": playlist(str(video)),
        "hls-relative": playlist(video.name),
        "hls-http": playlist(f"http://{address}/v.ts"),
        "ffconcat": f"ffconcat version 1.0\nfile '{video.name}'\n",
        "concat-http": f"ffconcat version 1.0\nfile 'http://{address}/v.ts'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 33\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f"<BaseURL>http://{address}/</BaseURL></MPD>",
        "imf": '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>',
        "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n",
        "text": "a text\n" * 99,
        "ffmetadata": ";FFMETADATA1\ntitle=x\n",
    }


@pytest.mark.parametrize(
    "suffix", [".mp4", ".ts", ".m3u8", ".mpd", ".sdp", ".ffconcat", ".txt", ""]
)
@pytest.mark.parametrize("kind", sorted(lists(Path("v.ts"), "")))
def test_a_list_in_a_file_is_no_video_and_leads_nowhere(
    kind: str, suffix: str, tmp_path: Path, server: tuple[str, list[str], Path]
) -> None:
    address, asked, _ = server
    video = make_video(tmp_path / "v.ts", TINY)
    path = tmp_path / f"list{suffix}"
    path.write_text(lists(video, address)[kind])
    with pytest.raises(MediaError):
        open_media(str(path))
    assert not is_media(path)
    assert asked == []


@pytest.mark.parametrize(
    "name",
    [
        "http:{}?x.mp4",
        "tcp:{}.mp4",
        "udp:{}.mp4",
        "rtsp:{}.mp4",
        "concat:a|b.mp4",
        "pipe:0.mp4",
        "subfile,,start,0,end,9,,:a.mp4",
        "cam:/a.mp4",
        "s3:/a.mp4",
        "data:video,a.mp4",
        "file:a.mp4",
    ],
)
def test_a_relative_name_is_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[str], Path]
) -> None:
    address, asked, _ = server
    monkeypatch.chdir(tmp_path)
    name = name.format(address)
    with pytest.raises(MediaError, match="no such file"):
        open_media(name)
    Path(name).parent.mkdir(exist_ok=True)
    make_video(Path("a.mp4"), TINY).rename(name)
    with open_media(name) as container:
        assert len(list(container.decode(video=0))) == 5
    assert asked == []
    assert not is_url(name)
    assert not is_stream(name, "out.mp4")


def test_a_playlist_is_read_from_a_url_that_is_named_like_one(
    server: tuple[str, list[str], Path],
) -> None:
    address, asked, folder = server
    make_video(folder / "v.ts", TINY)
    for name in ("list.m3u8", "list.mp4"):
        (folder / name).write_text(playlist("v.ts"))
    with open_media(f"http://{address}/list.m3u8") as container:
        assert len(list(container.decode(video=0))) == 5
    assert "/v.ts" in asked
    asked.clear()
    with pytest.raises(MediaError):
        open_media(f"http://{address}/list.mp4")
    assert "/v.ts" not in asked


def test_a_playlist_on_the_network_reads_no_file_of_this_machine(
    tmp_path: Path, server: tuple[str, list[str], Path]
) -> None:
    address, _, folder = server
    secret = make_video(tmp_path / "secret.ts", TINY)
    for number, segment in enumerate((f"file://{secret}", str(secret), f"file:{secret}")):
        (folder / f"{number}.m3u8").write_text(playlist(segment))
        try:
            with open_media(f"http://{address}/{number}.m3u8") as container:
                pictures = list(container.decode(video_stream(container, "list")))
        except (MediaError, IndexError, OSError):
            pictures = []
        assert pictures == []
    assert len(decode_all(secret)) == 5


@pytest.mark.parametrize(
    "url",
    [
        "concat://a",
        "subfile://a",
        "lavfi://testsrc",
        "gopher://127.0.0.1/",
        "unix:///tmp/x",
        "data://x",
    ],
)
def test_a_scheme_that_is_not_known_is_refused(url: str) -> None:
    with pytest.raises(MediaError, match="expected a file, or a URL of one of ftp, http"):
        open_media(url)


def test_what_is_named_like_a_number_of_files_reads_none_but_itself(tmp_path: Path) -> None:
    for name in ("a0.png", "a1.png", "a%d.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    with open_media(str(tmp_path / "a%d.png")) as container:
        assert len(list(container.decode(video=0))) == 1


@pytest.mark.timeout(60)
def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.media.allowed.NETWORK_TIMEOUT_S", (0.5, 0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(MediaError):
        open_media(f"http://127.0.0.1:{silent.getsockname()[1]}/a.mp4")
