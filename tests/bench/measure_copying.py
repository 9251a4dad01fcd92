"""What copying saves: `python -m tests.bench.measure_copying MEDIA_DIR OUT.json`.

A fixed camera (`cctv_film.py`), with a face in it for 5 % of the time, is restored with
`encode.copy` true and false, by another version of the program (`--before`, a git worktree), copied
packet by packet as `ffmpeg -c copy` does, and given to `deface` (`make bench-deface` installs it).
Each runs in a process of its own, in turn; CPU seconds of the process and all it starts are
compared. `--ways` chooses some of these; results are added to OUT.json.

`deface` takes more than a second a frame: it gets `--deface-frames` frames from the middle of the
film, and twice as many, and the difference is its time a frame.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import av

from tests.bench.cctv_film import RATE, VISIT_S, write_cctv
from tests.bench.test_deface import DEFACE, theirs
from tests.support import ROOT

SHARE: Final = 0.05
WAYS: Final = ("copied", "encoded", "before", "remuxed", "deface")


def cpu_s(command: list[str], tree: Path = ROOT) -> float:
    """Run a program; return its CPU seconds.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    started = _children_s()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
    )
    return _children_s() - started


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def restored(source: Path, out: Path, *settings: str, tree: Path = ROOT) -> float:
    """Return the CPU seconds of restoring a film with a version of the program."""
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "pipeline", "enhance", str(source), "-o", str(out)]
    return cpu_s([*command, "--runner", "local", "--overwrite", "--quiet", *words], tree)


def remuxed(source: Path, out: Path) -> float:
    """Return the CPU seconds of copying the packets of a film."""
    code = (
        "import av, sys\n"
        "with av.open(sys.argv[1]) as a, av.open(sys.argv[2], 'w') as b:\n"
        "    s = b.add_stream_from_template(a.streams.video[0])\n"
        "    for p in a.demux(video=0):\n"
        "        if p.dts is not None:\n"
        "            p.stream = s\n"
        "            b.mux(p)\n"
    )
    return cpu_s([sys.executable, "-c", code, str(source), str(out)])


def deface_s_a_frame(source: Path, folder: Path, frames: int) -> float:
    """Return the CPU seconds that deface takes for a frame in the middle of a film."""
    spent: list[float] = []
    for count in (frames, 2 * frames):
        part = _middle(source, folder / f"{count}.mp4", count)
        started = _children_s()
        theirs(part, folder / f"defaced_{count}.mp4")
        spent.append(_children_s() - started)
    return (spent[1] - spent[0]) / frames


def _middle(source: Path, path: Path, frames: int) -> Path:
    """Copy frames from a keyframe in the middle of a film on."""
    with av.open(source) as film, av.open(path, "w") as part:
        stream = film.streams.video[0]
        film.seek((stream.duration or 0) // 2, stream=stream)
        copy = part.add_stream_from_template(stream)
        first = None
        for _, packet in zip(range(frames), film.demux(stream), strict=False):
            first = packet.pts if first is None else first
            packet.pts = packet.dts = (packet.pts or 0) - (first or 0)
            packet.stream = copy
            part.mux(packet)
    return path


def main() -> None:
    """Make the film, measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--before", type=Path, help="a git worktree of another version")
    parser.add_argument("--deface-frames", type=int, default=10)
    given = parser.parse_args()
    visits = round(SHARE * given.seconds / VISIT_S)
    rows: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    row = rows.setdefault(f"{given.seconds} s", {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        film = write_cctv(folder / "film.mp4", given.media, given.seconds, visits)
        out = folder / "out" / "film.mp4"
        out.parent.mkdir()
        measures: Mapping[str, Callable[[], float]] = {
            "copied": lambda: restored(film, out),
            "encoded": lambda: restored(film, out, "encode.copy=false"),
            "before": lambda: restored(film, out, tree=given.before),
            "remuxed": lambda: remuxed(film, out),
            "deface": lambda: (
                given.seconds * RATE * deface_s_a_frame(film, folder, given.deface_frames)
            ),
        }
        for way in given.ways:
            if (way == "before" and not given.before) or (way == "deface" and not DEFACE.exists()):
                continue
            row[way] = {"cpu_s": round(measures[way](), 2)}
            if way != "deface":
                row[way]["size_over_source"] = round(out.stat().st_size / film.stat().st_size, 3)
            given.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
            sys.stdout.write(f"{given.seconds} s, {way}: {row[way]}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
