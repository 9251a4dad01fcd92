"""360-degree and stereo video stays it, and what is lost is said by the plan and by the report."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from nodes.media.container_facts import ContainerFacts, container_facts
from nodes.media.open import open_media, video_stream
from tests.support.media import decode_all
from tests.support.side_facts import make_arranged, make_captioned, make_cropped

pytestmark = pytest.mark.filterwarnings("default")

PLAIN = ("params.weights=bicubic", "run.threads=1", "encode.copy=false")
FLAT = "left out: 360-degree projection"
EYES = "left out: arrangement of pictures for two eyes"


@pytest.mark.parametrize(("suffix", "scale"), [(".mp4", 2), (".mov", 1), (".mkv", 1)])
def test_a_projection_stays_in_encoded_video(suffix: str, scale: int, tmp_path: Path) -> None:
    source, out = make_arranged(tmp_path / "v.mp4"), tmp_path / f"out{suffix}"
    assert _lost(source, out, scale=scale) == ([], [])
    assert _facts(out).projection == "equirectangular"
    assert {(p.width, p.height) for p in decode_all(out)} == {(64 * scale, 48 * scale)}


def test_an_arrangement_for_two_eyes_stays_where_the_container_has_it(tmp_path: Path) -> None:
    source = make_arranged(tmp_path / "v.mp4", stereo=True)
    assert _lost(source, tmp_path / "mkv/out.mkv") == ([], [])
    assert _facts(tmp_path / "mkv/out.mkv").stereo
    assert _lost(source, tmp_path / "mp4/out.mp4") == ([], [])
    # libav reads another box, of which this one is the whole.
    assert (tmp_path / "mp4/out.mp4").read_bytes().count(b"st3d") == 1
    assert _lost(source, tmp_path / "mov/out.mov") == ([EYES], [f"decode: {EYES}"])


@pytest.mark.parametrize("copy", [False, True])
def test_what_a_container_cannot_say_is_lost(copy: bool, tmp_path: Path) -> None:
    source = make_arranged(tmp_path / "v.mp4", stereo=True)
    planned, told = _lost(source, tmp_path / "out.ts", f"encode.copy={copy}")
    assert (planned, told) == ([FLAT, EYES], [f"decode: {FLAT}", f"decode: {EYES}"])


def test_a_cube_map_stays_in_its_size_only(tmp_path: Path) -> None:
    source = make_arranged(tmp_path / "v.mp4", cube_map=True)
    assert _lost(source, tmp_path / "mp4/out.mp4") == ([], [])
    assert _facts(tmp_path / "mp4/out.mp4").projection == "cube map"
    assert _lost(source, tmp_path / "large.mp4", scale=2) == ([FLAT], [f"decode: {FLAT}"])


def test_another_codec_says_nothing_of_it(tmp_path: Path) -> None:
    source = make_arranged(tmp_path / "v.mp4")
    lost = _lost(source, tmp_path / "out.mkv", "encode.codec=ffv1")
    assert lost == ([FLAT], [f"decode: {FLAT}"])


def test_the_plan_says_what_encoders_leave_out_and_what_is_cut_off(tmp_path: Path) -> None:
    captioned = make_captioned(tmp_path / "v.ts")
    said = "ffv1 cannot hold closed captions: left out; x264 and x265 can"
    lost = _lost(captioned, tmp_path / "out.mkv", "encode.codec=ffv1")
    assert lost == ([said], [f"encode: {said}"])
    cropped = make_cropped(tmp_path / "v.mkv", 8)
    said = "top 8, bottom 0, left 0, right 0 px cut off, as players do,"
    assert _lost(cropped, tmp_path / "cut.mkv") == ([said], [f"decode: {said} in 12 frames"])


def _lost(source: Path, out: Path, *settings: str, scale: int = 1) -> tuple[list[str], list[str]]:
    """Return what is lost by the plan, and by the report."""
    out.parent.mkdir(exist_ok=True)
    given = (*PLAIN, *settings)
    (planned,) = pipeline.plan(source, out, settings=given, scale=scale).videos
    report = pipeline.enhance(source, out, settings=given, scale=scale, runner="local")
    assert planned.plan is not None
    return list(planned.plan.losses), list(report.videos[0].notes)


def _facts(path: Path) -> ContainerFacts:
    with open_media(str(path)) as container:
        return container_facts(video_stream(container, str(path)))
