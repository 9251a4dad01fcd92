"""The same nine cases through us and through `deface`, side by side: what is kept, what it costs.

`make bench-deface` installs deface (PyPI, with onnxruntime) in a venv of its own and runs this.
Both encode with x264, preset veryfast, crf 16. Ours looks for faces in every frame and has the
network off; theirs is as it comes, with its sound kept. CPU seconds a frame are the difference of a
long and a short 1080p run, so that neither pays for starting.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.media_factory import AudioTrack, Video, decode_all, make_video

ROOT = Path(__file__).parents[2]
DEFACE = ROOT / ".venv-deface" / "bin" / "deface"
RESULTS = Path(__file__).parent / "results"

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not DEFACE.exists(), reason="`make bench-deface` installs deface"),
]

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
OURS = ("enhance.weights=bicubic", "track.scan_interval_s=0.001", "run.runner=local", *X264)
THEIRS = json.dumps({"codec": "libx264", "output_params": ["-preset", "veryfast", "-crf", "16"]})


def ours(source: Path, target: Path) -> None:
    settings = [word for setting in OURS for word in ("--set", setting)]
    command = [sys.executable, "-m", "pipeline", "enhance", source, "-o", target]
    subprocess.run([*map(str, command), *settings], check=True, capture_output=True)


def theirs(source: Path, target: Path) -> None:
    command = [DEFACE, source, "-o", target, "--keep-audio", "--backend", "onnxrt"]
    subprocess.run([*map(str, command), "--ffmpeg-config", THEIRS], check=True, capture_output=True)


TOOLS = {"ours": ours, "deface": theirs}


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


def cpu_s(tool: str, source: Path, target: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    TOOLS[tool](source, target)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_nine_cases_side_by_side(tmp_path: Path) -> None:
    result: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "kept": {}, "cpu_s": {}}
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
    short, long = (
        make_video(tmp_path / f"{frames}.mp4", replace(FULL_HD, frames=frames))
        for frames in (5, 30)
    )
    for tool in TOOLS:
        spent = [cpu_s(tool, path, tmp_path / tool / path.name) for path in (short, long)]
        result["cpu_s"][f"{tool}, a 1080p frame"] = (spent[1] - spent[0]) / 25
    per_frame = list(result["cpu_s"].values())
    result["cpu_s"]["ours over deface"] = per_frame[0] / per_frame[1]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "deface.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    assert set(result["kept"]) == set(CASES)
