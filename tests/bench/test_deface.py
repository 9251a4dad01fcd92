"""The same nine cases through us and through `deface`, side by side: what is kept, what it costs.

`make bench-deface` installs deface (PyPI, with onnxruntime) in a venv of its own and runs this; it
writes `docs/deface.md`.

Both encode with x264, preset veryfast, crf 16. Ours has the network off; theirs is as it comes,
with its sound kept. Ours follows faces in every frame, and looks for new ones in each part that
moves either as it comes, once in half a second, or in every frame. CPU seconds a frame are the
difference of a long and a short run of a street in 1080p, so that neither pays for starting.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest
from av.video import VideoStream
from av.video.frame import PictureType

from tests.support import ROOT, SAMPLES
from tests.support.media import AudioTrack, Video, decode_all, make_video

DEFACE = ROOT / ".venv-deface" / "bin" / "deface"
RESULTS = Path(__file__).parent / "results"
TABLE = ROOT / "docs" / "deface.md"
MOST_OF_THEIRS = 0.3
"""Our CPU time over theirs: the goal."""

HEAD = """# Comparison with deface

Made by `make bench-deface`; do not edit. Nine small synthetic videos are processed by this program
(without the network) and by deface {version} with default settings (`--keep-audio`, onnxrt
backend). Both encode with x264, preset veryfast, crf 16.

Compared are: number of frames, their times (in ms, from the first), size, bit depth, chroma,
rotation, pixel aspect, number of sound streams.

| case | this program | deface |
|---|---|---|
"""

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not DEFACE.exists(), reason="`make bench-deface` installs deface"),
]

NOTE = f"""deface searches the whole of every frame. This program detects known faces in every
frame, and new ones where something moves: every half second in the first row, in every frame in the
second. The cost of the second row depends on the film: if all of a 1080p picture moves, it takes
147 detector runs per frame. The goal for the first row is {MOST_OF_THEIRS} of deface's time."""

SAMPLE = SAMPLES / "street.mp4"
FRAMES = (5, 45)
"""Lengths of the two runs whose difference is the time of a frame."""

SOUND = (AudioTrack(),)
SMALL = Video(width_px=320, height_px=240, frames=25, audio=SOUND)
FULL_HD = Video(width_px=1920, height_px=1080, frames=10, audio=SOUND)
VARIABLE = (0, 40, 100, 101, 900, 940, 990, 2000, 2040, 4000)

CASES: dict[str, tuple[str, Video]] = {
    "1080 lines": ("v.mp4", FULL_HD),
    "variable rate": ("v.mkv", replace(SMALL, pts=VARIABLE, time_base=Fraction(1, 1000))),
    "10 bit": ("v.mp4", replace(SMALL, codec="libx265", pix_fmt="yuv420p10le")),
    "4:2:2": ("v.mp4", replace(SMALL, pix_fmt="yuv422p")),
    "turned by 90": ("v.mp4", replace(SMALL, rotation_deg=90)),
    "pixels 4/3": ("v.mp4", replace(SMALL, sample_aspect_ratio=Fraction(4, 3))),
    "two sounds": ("v.mkv", replace(SMALL, audio=(AudioTrack(), AudioTrack(language="jpn")))),
    "29.97 a second": ("v.mp4", replace(SMALL, rate=Fraction(30000, 1001))),
    "B-frames, 354 lines": ("v.mp4", replace(SMALL, b_frames=2, height_px=354)),
}

X264 = ("encode.codec=x264", "encode.preset=veryfast", "encode.crf=16")
OURS = ("enhance.weights=bicubic", "run.runner=local", *X264)
EAGERLY = "track.scan_interval_s=0.001"
THEIRS = json.dumps({"codec": "libx264", "output_params": ["-preset", "veryfast", "-crf", "16"]})


def ours(source: Path, target: Path, *more: str) -> None:
    settings = [word for setting in (*OURS, *more) for word in ("--set", setting)]
    command = [sys.executable, "-m", "pipeline", "enhance", source, "-o", target]
    subprocess.run([*map(str, command), *settings], check=True, capture_output=True)


def theirs(source: Path, target: Path) -> None:
    command = [DEFACE, source, "-o", target, "--keep-audio", "--backend", "onnxrt"]
    subprocess.run([*map(str, command), "--ffmpeg-config", THEIRS], check=True, capture_output=True)


def ours_eagerly(source: Path, target: Path) -> None:
    ours(source, target, EAGERLY)


TOOLS = {"ours": ours, "deface": theirs}
TIMED = {
    "this program": ours,
    "this program, new faces in every frame": ours_eagerly,
    "deface": theirs,
}


def street(path: Path, frames: int) -> Path:
    """Make a 1080p film of the sample's street and its people."""
    with av.open(SAMPLE) as source, av.open(path, "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 1920, 1080, "yuv420p"
        for number, picture in enumerate(islice(source.decode(video=0), frames)):
            large = picture.reformat(1920, 1080, "yuv420p", interpolation="LANCZOS")
            large.pts, large.time_base = number, Fraction(1, 25)
            large.pict_type = PictureType.NONE
            target.mux(stream.encode(large))
        target.mux(stream.encode(None))
    return path


def facts(path: Path) -> dict[str, Any]:
    """Return what must be the same before and after."""
    pictures = decode_all(path)
    first = pictures[0]
    with av.open(path) as container:
        aspect = container.streams.video[0].sample_aspect_ratio or Fraction(1)
        sounds = len(container.streams.audio)
    return {
        "frames": len(pictures),
        "times_ms": [round(1000 * ((p.time or 0) - (first.time or 0))) for p in pictures],
        "size": [first.width, first.height],
        "bit_depth": max(component.bits for component in first.format.components),
        "chroma": first.format.name.replace("yuvj", "yuv"),
        "rotation": first.rotation,
        "pixel_aspect": str(aspect),
        "sounds": sounds,
    }


def kept(source: Path, target: Path) -> dict[str, bool | str]:
    before = facts(source)
    try:
        after = facts(target)
    except (OSError, IndexError) as error:
        return {"error": str(error)}
    return {key: after[key] == value for key, value in before.items()}


def machine() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def cpu_s(tool: str, source: Path, target: Path) -> float:
    target.parent.mkdir(exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    TIMED[tool](source, target)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cell(found: dict[str, bool | str]) -> str:
    """Return what a tool did not keep, in words."""
    if "error" in found:
        return f"fails: `{found['error']}`"
    lost = [name.replace("_", " ") for name, is_kept in found.items() if not is_kept]
    return f"not kept: {', '.join(lost)}" if lost else "all kept"


def write_table(result: dict[str, Any]) -> None:
    """Write the table of the docs."""
    python = DEFACE.with_name("python")
    ask = "from importlib.metadata import version; print(version('deface'))"
    told = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    lines = [
        f"| {case} | {cell(kept['ours'])} | {cell(kept['deface'])} |"
        for case, kept in result["kept"].items()
    ]
    theirs_s = result["cpu_s"]["deface"]
    lines += [
        "",
        "CPU time of a frame of a street in 1080p, all told, "
        f"on {result['cores']} cores ({result['machine']}):",
        "",
        "| | ms | of deface's |",
        "|---|---|---|",
    ]
    lines += [
        f"| {tool} | {1000 * spent:.0f} | {spent / theirs_s:.2f} |"
        for tool, spent in result["cpu_s"].items()
    ]
    lines += ["", NOTE]
    text = HEAD.format(version=told.stdout.strip()) + "\n".join(lines) + "\n"
    TABLE.write_text(text, encoding="utf-8")


def test_nine_cases_side_by_side(tmp_path: Path) -> None:
    result: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "machine": machine(),
        "kept": {},
        "cpu_s": {},
    }
    for number, (name, (file, video)) in enumerate(CASES.items()):
        source = make_video(tmp_path / f"{number}_{file}", video)
        result["kept"][name] = {}
        for tool, run in TOOLS.items():
            target = tmp_path / tool / source.name
            target.parent.mkdir(exist_ok=True)
            try:
                run(source, target)
            except subprocess.CalledProcessError as error:
                lines = error.stderr.decode(errors="replace").strip().splitlines()
                result["kept"][name][tool] = {"error": lines[-1] if lines else "failed"}
                continue
            result["kept"][name][tool] = kept(source, target)
    clips = [street(tmp_path / f"{frames}.mp4", frames) for frames in FRAMES]
    for tool in TIMED:
        spent = [cpu_s(tool, clip, tmp_path / tool / clip.name) for clip in clips]
        result["cpu_s"][tool] = (spent[1] - spent[0]) / (FRAMES[1] - FRAMES[0])
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "deface.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    write_table(result)
    assert set(result["kept"]) == set(CASES)
    lost = {case: cell(kept["ours"]) for case, kept in result["kept"].items()}
    assert lost == dict.fromkeys(CASES, "all kept")
    assert result["cpu_s"]["this program"] <= MOST_OF_THEIRS * result["cpu_s"]["deface"]
