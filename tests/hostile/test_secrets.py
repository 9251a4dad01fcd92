"""Passwords and keys in URLs are used, and stand neither in reports nor on a terminal."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.cli.console import say_error
from pipeline.job.report import VideoReport, read_video
from pipeline.segments.identity import settings_digest
from pipeline.storage.json_text import json_bytes
from pipeline.storage.locations import location_of
from pipeline.storage.lock import holding
from pipeline.url_secrets import redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:s3cret@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:s3@cret@cam:554/1?x=y", "rtsp://admin:***@cam:554/1?x=y"),
        ("https://:s3cret@h/", "https://:***@h/"),
        ("cannot open ftp://u:s3cret@h/a.mp4; b", "cannot open ftp://u:***@h/a.mp4; b"),
        ("https://h/a.mp4?X-Amz-Signature=s3cret&b=c", "https://h/a.mp4?X-Amz-Signature=***&b=c"),
        ("https://h/a?b=c&token=s3cret", "https://h/a?b=c&token=***"),
        ("https://h/a?sig=s3cret#f", "https://h/a?sig=***#f"),
        ("https://h/a?apikey=s3cret'", "https://h/a?apikey=***'"),
        ("https://h/a#access_token=s3cret", "https://h/a#access_token=***"),
        ("https://h/a?api-key=s3cret&b=c", "https://h/a?api-key=***&b=c"),
        ("https://h/a;jsessionid=s3cret", "https://h/a;jsessionid=***"),
        ("http://h/a?loginuse=b&loginpas=s3cret", "http://h/a?loginuse=b&loginpas=***"),
        ("http://h/a?b[password]=s3cret", "http://h/a?b[password]=***"),
        ("rtsp://h/user=a&password=s3cret&c=1", "rtsp://h/user=a&password=***&c=1"),
        ("rtsp://h:1/user=a_password=s3_cret_c=1.sdp", "rtsp://h:1/user=a_password=***_c=1.sdp"),
        ("rtmp://h/a pubUser=b pubPasswd=s3cret", "rtmp://h/a pubUser=b pubPasswd=***"),
        ("rtsp://admin:s3/cret@h/a", "rtsp://admin:***@h/a"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("http://h/key_frames=3/a.mp4", "http://h/key_frames=3/a.mp4"),
        ("srt://h:9000?passphrase=s3cret", "srt://h:9000?passphrase=***"),
        ("http://h:8080/a@b:c@d.mp4", "http://h:8080/a@b:c@d.mp4"),
        ("rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("/a/b:c@d.mp4", "/a/b:c@d.mp4"),
        ("a?token=1", "a?token=1"),
        (f"https://oauth2:{'A' * 2000}@h/a.mp4", "https://oauth2:***@h/a.mp4"),
        ("rtmp://h/live/token=s3cret/key=s3cret", "rtmp://h/live/token=***/key=***"),
        ("https://h/session=s3cret/a.mp4", "https://h/session=***/a.mp4"),
        ("s3://b/session=1/key=2/a.mp4", "s3://b/session=1/key=2/a.mp4"),
        ("memory://b/token=3/a.mp4 s3://b/auth=1", "memory://b/token=3/a.mp4 s3://b/auth=1"),
    ],
)
def test_a_secret_is_left_out_and_nothing_else(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    "part", ["a", "_", "?", ":", "a://a:", "s://:", "&passw", "_password=", "http://a", "/token"]
)
def test_a_long_text_takes_no_longer_than_it_is_long(part: str) -> None:
    begun_s = time.process_time()
    redacted("http://" + part * (100_000 // len(part)))
    assert time.process_time() - begun_s < 5


SECRET = "rtsp://admin:s3cret@cam/1"  # noqa: S105


def test_reports_hold_none(tmp_path: Path) -> None:
    report = VideoReport(SECRET, None, "failed", error=f"{SECRET}: no answer")
    content = report.to_json()
    assert b"s3cret" not in content
    found = read_video(content)
    assert found is not None
    assert found.source == redacted(SECRET)
    kinds = {"a": [1, None, True, 0.5, Fraction(1, 3), tmp_path], SECRET: {2: (SECRET,)}}
    assert json.loads(json_bytes(kinds)) == {
        "a": [1, None, True, 0.5, "1/3", str(tmp_path)],
        redacted(SECRET): {"2": [redacted(SECRET)]},
    }


def test_the_terminal_and_locks_show_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say_error(f"aminet: {SECRET}: no answer")
    assert capsys.readouterr().err == f"aminet: {redacted(SECRET)}: no answer\n"
    monkeypatch.setattr("sys.argv", ["aminet", "enhance", SECRET])
    with holding(location_of(tmp_path / "report.json")):
        assert "s3cret" not in (tmp_path / ".report.json.lock").read_text()


def test_a_report_names_the_settings_that_it_lost_a_secret_of() -> None:
    graph = {"nodes": {"enhance": {"weights": "https://u:s3cret@h/w", "side": 128, "parts": (1,)}}}
    told = json.loads(json_bytes(graph))
    assert told != graph
    assert settings_digest(told) == settings_digest(graph)
