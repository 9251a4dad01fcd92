"""CPU time a frame of six kinds of film, stage by stage, over that of decoding and encoding them.

    python -m tests.bench.measure_cost MEDIA_DIR OUT.json [--before FOLDER] [--only street ...]

MEDIA_DIR holds clips of people, `clip_*.mp4`. FOLDER is another version of the program, a git
worktree with a `stage_costs.py` of its own, which knows its modules' names. The two versions run in
turn, `--rounds` times, each time in a process of its own, and the smallest time of each stage
counts. Ratios of one run can be compared, times of two machines cannot.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.bench.cost_films import KINDS, Kind, write_film

HERE: Final = Path(__file__).parents[2]
NETWORK: Final = "enhance"


def measured(tree: Path, film: Path, weights: str) -> dict[str, Any]:
    """Run one version of the program on one film.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    script = tree / "tests" / "bench" / "stage_costs.py"
    done = subprocess.run(
        [sys.executable, str(script), str(film), "--weights", weights],
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def smallest(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the smallest time of each stage, with the sums and ratios.

    What is done once is spread over the frames; the floor is decoding and encoding alone.
    """
    frames = runs[0]["frames"]
    stages = {
        name: round(
            min(run["ms_a_frame"][name] for run in runs)
            + min(run["once_ms"].get(name, 0.0) for run in runs) / frames,
            2,
        )
        for name in runs[0]["ms_a_frame"]
    }
    floor, total = stages["decode"] + stages["encode"], sum(stages.values())
    without_network = total - stages[NETWORK]
    return {
        "frames": frames,
        "faces_a_frame": runs[0]["faces_a_frame"],
        "ms_a_frame": stages,
        "floor_ms": round(floor, 2),
        "total_ms": round(total, 2),
        "total_over_floor": round(total / floor, 3),
        "without_network_over_floor": round(without_network / floor, 3),
    }


def compared(
    kind: Kind, film: Path, trees: dict[str, Path], rounds: int, weights: str
) -> dict[str, Any]:
    """Measure one film with each version, in turn."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            runs[name].append(measured(tree, film, weights))
    found = {name: smallest(own) for name, own in runs.items()}
    row: dict[str, Any] = {"kind": kind.name} | found
    if "before" in found:
        before, after = found["before"]["ms_a_frame"], found["now"]["ms_a_frame"]
        common = [name for name in after if before.get(name)]
        row["now_over_before"] = {name: round(after[name] / before[name], 2) for name in common} | {
            "total": round(found["now"]["total_ms"] / found["before"]["total_ms"], 2)
        }
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return one block of lines for each film."""
    lines: list[str] = []
    for row in rows:
        lines.append(row["kind"])
        for name in ("before", "now", "now_over_before"):
            if name in row:
                stages = row[name].get("ms_a_frame", row[name])
                cells = "  ".join(f"{stage} {value}" for stage, value in stages.items())
                lines.append(f"  {name}: {cells}")
            if "total_ms" in row.get(name, {}):
                keys = (
                    "faces_a_frame",
                    "total_ms",
                    "total_over_floor",
                    "without_network_over_floor",
                )
                lines.append("    " + "  ".join(f"{key} {row[name][key]}" for key in keys))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the films, measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--only", nargs="+", default=[kind.name for kind in KINDS])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--weights", default="aminet-s")
    parser.add_argument("--shorter", type=int, default=1, help="divide the films' lengths by this")
    parser.add_argument("--films", type=Path, help="keep the films in this folder, and reuse them")
    arguments = parser.parse_args()
    trees = {"before": arguments.before} if arguments.before else {}
    trees["now"] = HERE
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.films or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for whole in KINDS:
            if not any(whole.name.startswith(name) for name in arguments.only):
                continue
            kind = replace(whole, frames=max(1, whole.frames // arguments.shorter))
            film = folder / f"{kind.name.replace(' ', '_')}.mkv"
            if not film.exists():
                write_film(kind, arguments.media, film)
            rows.append(compared(kind, film, trees, arguments.rounds, arguments.weights))
            arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
            sys.stdout.write(table(rows[-1:]))
    if not rows:
        parser.error(f"--only {arguments.only}: there are {[kind.name for kind in KINDS]}")


if __name__ == "__main__":
    main()
