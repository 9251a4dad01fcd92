"""What a run's report says is read back by the next run."""

from __future__ import annotations

import pytest

from pipeline.job.report import VideoReport, read_video
from pipeline.segments.identity import Identity

REPORT = VideoReport(
    source="in\udcff.mp4",  # A name whose bytes are not UTF-8.
    output="out.mp4",
    status="done",
    frames=30,
    beside={".faces.png": "out.faces.png"},
    identity=Identity("1", "2", "3", "4", "5"),
)


def test_a_video_is_read_back_as_it_was_written() -> None:
    assert read_video(REPORT.to_json()) == REPORT


@pytest.mark.parametrize("content", [None, b"", REPORT.to_json()[:-9], b"[]", b'{"source": 1}'])
def test_what_is_no_whole_report_is_none(content: bytes | None) -> None:
    assert read_video(content) is None
