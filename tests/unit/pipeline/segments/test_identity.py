"""Identities: equal exactly when a segment need not be done again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config import load_config, load_graph
from pipeline.containers.probe import scan_packets
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.segments.identity import Identity, content_ids, fingerprint, identify
from pipeline.segments.plan import Interval, SegmentPlan
from tests.support.media import Video, make_video

PLAN = SegmentPlan((Interval(None, 5), Interval(5, None)))
BICUBIC = "enhance.weights=bicubic"


def graph(*settings: str) -> Graph:
    return load_graph(load_config(None, (BICUBIC, *settings)))


def identity(*settings: str, plan: SegmentPlan = PLAN, threads: int = 2) -> Identity:
    made = graph(*settings)
    return identify(
        fingerprint="x",
        plan=plan,
        graph=made,
        contents=content_ids(prepared(made)),
        threads=threads,
    )


def test_the_same_job_has_the_same_identity() -> None:
    assert identity() == identity()
    assert identity().key == identity().key
    assert identity().changes_since(identity()) == "nothing changed"


def test_each_change_is_named() -> None:
    before = identity()
    assert identity("encode.crf=20").changes_since(before) == "the settings changed"
    assert identity("params.strength=0.5").changes_since(before) == "the settings changed"
    assert identity(threads=1).changes_since(before) == "the plan changed"
    other = SegmentPlan((Interval(None, 6), Interval(6, None)))
    assert identity(plan=other).changes_since(before) == "the plan changed"
    both = replace(identity("encode.crf=20"), weights="other")
    assert both.changes_since(before) == "the settings and the weights changed"
    assert both.key != before.key


def test_how_a_graph_is_run_does_not_matter() -> None:
    assert identity("run.workers=7", "run.block_frames=3", "run.window_frames=9") == identity()


def test_other_content_of_a_weights_file_is_another_identity(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    contents: list[dict[str, str]] = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        contents.append(content_ids(prepared(graph(f"enhance.weights={file}"))))
    assert contents[0]["enhance"] != contents[1]["enhance"]
    assert len(contents[0]["enhance"]) == 64
    assert content_ids(prepared(graph()))["enhance"] == ""


def test_a_file_is_known_by_its_content_not_by_its_name_or_date(tmp_path: Path) -> None:
    one = make_video(tmp_path / "a.mp4", Video(frames=20))
    copy = tmp_path / "b.mp4"
    copy.write_bytes(one.read_bytes())
    other = make_video(tmp_path / "c.mp4", Video(frames=21))
    prints = [fingerprint(str(p), scan_packets(str(p))) for p in (one, copy, other)]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("url", ["http://host/a.mp4", "rtsp://host/b"])
def test_what_is_read_once_is_known_by_its_address(url: str) -> None:
    assert fingerprint(url, None) != fingerprint(f"{url}x", None)
