"""The lines that tell what became of a video."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.job.report import VideoReport, face_facts, summary_lines


def told(**facts: Any) -> str:
    """Return the first line of a video's summary, from its frames on."""
    report = VideoReport("in.mp4", "out.mp4", "done", outputs={"encode": "out.mp4"}, **facts)
    first, *_ = summary_lines("in.mp4", report)
    return first.partition("in.mp4 -> out.mp4: ")[2]


def test_faces_are_counted_once_and_what_is_done_with_them_in_times() -> None:
    left = {"too large (over 64 px between the eyes)": 60, "cut off": 1}
    report = VideoReport(
        "in.mp4", "o.mp4", "done", frames=60, faces=59, tracks=2, left_alone=left, notes=("no HDR",)
    )
    done, *others = summary_lines("in.mp4", report)
    assert "60 frames, 2 faces found, restored 59 times, 0.0 frames/s" in done
    assert others == [
        "  left alone 60 times: too large (over 64 px between the eyes)",
        "  left alone 1 time: cut off",
        "  note: no HDR",
    ]


def test_one_is_told_as_one() -> None:
    assert (
        told(frames=1, faces=1, tracks=1) == "1 frame, 1 face found, restored 1 time, 0.0 frames/s"
    )
    report = VideoReport("in.mp4", None, "done", frames=1, beside={".tracks.jsonl": "x"})
    assert summary_lines("in.mp4", report)[0].startswith("in.mp4 -> 1 file beside: 1 frame, ")


def test_a_failure_is_one_line() -> None:
    report = VideoReport("in.mp4", None, "failed", error="no video", left_alone={"turned": 3})
    assert summary_lines("in.mp4", report) == ["in.mp4: FAILED: no video"]
    report = VideoReport("in.mp4", None, "failed", error="in.mp4: no video")
    assert summary_lines("in.mp4", report) == ["in.mp4: FAILED: no video"]


@pytest.mark.parametrize(
    ("found", "restored", "left_alone", "facts"),
    [
        (0, 0, {}, ["no face found"]),
        (None, 0, {}, []),
        (None, 3, {}, ["restored 3 times"]),
        # A graph that finds faces and restores none, such as `redact`.
        (2, 0, {}, ["2 faces found"]),
        (2, 0, {"turned": 9}, ["2 faces found", "restored 0 times"]),
    ],
)
def test_what_is_told_of_faces_depends_on_what_the_graph_does_with_them(
    found: int | None, restored: int, left_alone: dict[str, int], facts: list[str]
) -> None:
    assert face_facts(found, restored, left_alone) == facts


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"copied_frames": 9}, ", copied, unchanged, "),
        ({"copied_frames": 3}, ", 33% copied, "),
        (
            {"nodes": {"evidence": {"frames": 9, "unchanged_frames": 9}}},
            ", pictures unchanged before they were encoded, ",
        ),
        # Enlarged, or a graph that does not tell: nothing is claimed.
        ({"nodes": {"evidence": {"frames": 9, "unchanged_frames": 0}}}, "no face found, 0.0"),
        ({}, "no face found, 0.0"),
    ],
)
def test_pictures_are_called_unchanged_only_if_they_are(facts: dict[str, Any], said: str) -> None:
    assert said in told(frames=9, **facts)
