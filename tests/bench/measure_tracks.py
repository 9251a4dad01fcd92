"""How well faces are found and followed, on composites: `python -m tests.bench.measure_tracks`.

    python -m tests.bench.measure_tracks MEDIA_DIR OUT_DIR

`MEDIA_DIR` holds `clip_*.mp4` (see `composites.py` and `films.py`). Writes `tracks.json`,
`tracks.md` (the table of `docs/tracking.md`) and `tracks.png` (recall over face width).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from nodes.node import Inputs, Segment
from nodes.track import Track, TrackConfig
from nodes.types import Box, Face, Frame, FrameFaces
from tests.bench.composites import RATE, TrueFace, filmed
from tests.bench.films import cast, crowd, films, still_face
from tests.support.faces import info_of

EDGES_PX: Final = (12, 16, 20, 24, 32, 48, 64, 96, 140, 280)
GRACE_FRAMES: Final = 13
"""Half a second from a face's first frame: by then every part of the picture was looked at."""


@dataclass
class Counts:
    """What was seen of what there was."""

    wanted: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Faces by the lower edge of their width's class, from half a second after they appear."""
    found: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    wanted_at_once: int = 0
    """Faces of 24 px and more from their first frame on."""
    found_at_once: int = 0
    believed: int = 0
    strays: int = 0
    people: int = 0
    switches: int = 0

    def add(self, other: Counts) -> None:
        """Add what another film gave."""
        for name, value in vars(other).items():
            if isinstance(value, dict):
                mine = getattr(self, name)
                for edge, count in value.items():
                    mine[edge] += count
            else:
                setattr(self, name, getattr(self, name) + value)

    def numbers(self) -> dict[str, Any]:
        """Return shares and rates."""
        return {
            "recall_by_width_px": {
                edge: round(self.found[edge] / self.wanted[edge], 4) for edge in sorted(self.wanted)
            },
            "faces_by_width_px": {edge: self.wanted[edge] for edge in sorted(self.wanted)},
            "recall_16_to_24_px": self.recall(16, 24),
            "recall_from_24_px": self.recall(24, 10_000),
            "recall_from_24_px_at_once": round(self.found_at_once / max(1, self.wanted_at_once), 4),
            "precision": round(1 - self.strays / max(1, self.believed), 4),
            "people": self.people,
            "id_switches": self.switches,
            "id_switches_per_track": round(self.switches / max(1, self.people), 4),
        }

    def recall(self, low_px: int, high_px: int) -> float | None:
        """Return the share found of the faces of some widths."""
        edges = [edge for edge in self.wanted if low_px <= edge < high_px]
        wanted = sum(self.wanted[edge] for edge in edges)
        return round(sum(self.found[edge] for edge in edges) / wanted, 4) if wanted else None


def follow(frames: Sequence[Frame]) -> tuple[list[tuple[Face, ...]], float, float]:
    """Return the confirmed faces of each frame; CPU ms and looks a frame after the first second."""
    info = info_of(frames[0])
    track = Track(TrackConfig())
    track.open(Segment("composite", Path(), 1), {"frames": info})
    found: list[tuple[Face, ...]] = []
    spent_s: list[float] = []
    looks: list[int] = []
    for frame in frames:
        started_s = time.process_time()
        packet = track.process(Inputs({"frames": frame}))["faces"]
        spent_s.append(time.process_time() - started_s)
        looks.append(track.report()["detections"])
        assert isinstance(packet, FrameFaces)
        found.append(tuple(face for face in packet.faces if face.confirmed))
    track.close()
    late = float(np.mean(np.diff(looks)[RATE - 1 :]))
    return found, 1000 * float(np.mean(spent_s[RATE:])), late


def pairs(faces: Sequence[Face], trues: Sequence[TrueFace]) -> dict[str, Face]:
    """Return which found face is whose: one each, the nearest together."""
    if not faces or not trues:
        return {}
    cost = np.array([[_apart(face.box_xyxy_px, true) for true in trues] for face in faces])
    rows, columns = linear_sum_assignment(np.minimum(cost, 1e3))
    return {
        trues[column].name: faces[row]
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < 1e3
    }


def _apart(box: Box, true: TrueFace) -> float:
    """Return the distance of two faces' middles in face widths, infinite if they are not one."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = true.box_xyxy_px
    inside = left < (x0 + x1) / 2 < right and top < (y0 + y1) / 2 < bottom
    if not (inside and 0.5 < (x1 - x0) / true.width_px < 2):
        return np.inf
    return float(np.hypot(x0 + x1 - left - right, y0 + y1 - top - bottom)) / (2 * true.width_px)


def score(found: list[tuple[Face, ...]], truth: list[list[TrueFace]]) -> Counts:
    """Compare a film's faces with those that were found."""
    counts = Counts()
    numbers: dict[str, list[int]] = defaultdict(list)
    ages: dict[str, int] = defaultdict(int)
    for faces, trues in zip(found, truth, strict=True):
        paired = pairs(faces, trues)
        counts.believed += len(faces)
        counts.strays += len(faces) - len(paired)
        for true in trues:
            if true.name in paired:
                numbers[true.name].append(paired[true.name].track_id)
            if not true.sure or true.width_px < EDGES_PX[0]:
                continue
            ages[true.name] += 1
            if true.width_px >= 24:
                counts.wanted_at_once += 1
                counts.found_at_once += true.name in paired
            if ages[true.name] > GRACE_FRAMES:
                edge = max(edge for edge in EDGES_PX if edge <= true.width_px)
                counts.wanted[edge] += 1
                counts.found[edge] += true.name in paired
    counts.people = len(numbers)
    counts.switches = sum(a != b for ids in numbers.values() for a, b in pairwise(ids))
    return counts


def jitter_of_eye_distance(media: Path, noise: float) -> float:
    """Return the points' standard deviation over its eye distance, for a face that stays still."""
    frames, _ = filmed([still_face(cast(media)[0], noise=noise)])
    found, _, _ = follow(frames)
    faces = [faces[0] for faces in found[GRACE_FRAMES:] if faces]
    points = np.stack([face.points_px for face in faces])
    return round(float(points.std(axis=0).mean()) / faces[0].eye_distance_px, 5)


def cost_ms(media: Path) -> dict[str, float]:
    """Return CPU ms a frame by picture size and number of faces, all of them moving."""
    clips, costs = cast(media), dict[str, float]()
    for size_px in ((1280, 720), (1920, 1080), (2560, 1440)):
        for count in (0, 1, 4, 16):
            shot = crowd(clips, [48.0] * count, size_px, seed=count, frames=2 * RATE)
            frames, _ = filmed([shot])
            costs[f"{size_px[0]}x{size_px[1]}, {count} faces"] = round(follow(frames)[1], 1)
    return costs


def measure(media: Path) -> dict[str, Any]:
    """Run all films and return the numbers."""
    total, by_film = Counts(), dict[str, dict[str, Any]]()
    for film in films(cast(media)):
        frames, truth = filmed(film.shots)
        found, ms_per_frame, looks = follow(frames)
        counts = score(found, truth)
        total.add(counts)
        by_film[film.name] = {
            **counts.numbers(),
            "cpu_ms_per_frame": round(ms_per_frame, 1),
            "looks_per_frame": round(looks, 1),
        }
    return {
        **total.numbers(),
        "jitter_of_eye_distance": jitter_of_eye_distance(media, 0),
        "jitter_with_sensor_noise": jitter_of_eye_distance(media, 4),
        "cpu_ms_per_1080p_frame_with_4_faces": by_film["four"]["cpu_ms_per_frame"],
        "cpu_ms_by_size_and_faces": cost_ms(media),
        "films": by_film,
    }


def plot(numbers: dict[str, Any], path: Path) -> None:
    """Draw recall over face width, with what is asked for."""
    from matplotlib import pyplot as plt

    recall: dict[int, float] = numbers["recall_by_width_px"]
    counts: dict[int, int] = numbers["faces_by_width_px"]
    labels = [_class(edge) for edge in recall]
    figure, axes = plt.subplots(figsize=(7, 3.6))
    bars = axes.bar(labels, [100 * share for share in recall.values()], color="#4477aa")
    axes.bar_label(bars, [f"n={count}" for count in counts.values()], fontsize=7)
    for low, high, least in ((16, 24, 80), (24, EDGES_PX[-1], 95)):
        placements = [place for place, edge in enumerate(recall) if low <= edge < high]
        axes.hlines(least, placements[0] - 0.5, placements[-1] + 0.5, "#cc3311")
    axes.set(ylim=(0, 108), xlabel="face width, px", ylabel="recall, % (red: asked for)")
    axes.grid(axis="y", alpha=0.4)
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)


def _class(edge_px: int) -> str:
    after = [edge for edge in EDGES_PX if edge > edge_px]
    return f"{edge_px}-{after[0]}" if after else f"{edge_px}-"


def table(numbers: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    asked = (
        ("recall, faces from 24 px", ">= 95 %", numbers["recall_from_24_px"]),
        ("recall, faces of 16 to 24 px", ">= 80 %", numbers["recall_16_to_24_px"]),
        ("recall from the first frame on, from 24 px", "", numbers["recall_from_24_px_at_once"]),
        ("precision", ">= 98 %", numbers["precision"]),
        ("jitter, still face", "<= 0.5 %", numbers["jitter_of_eye_distance"]),
        ("jitter, still face, sensor noise", "", numbers["jitter_with_sensor_noise"]),
    )
    lines = ["| figure | asked for | measured |", "|---|---|---|"]
    lines += [f"| {name} | {goal} | {100 * value:.2f} % |" for name, goal, value in asked]
    switches, ms = numbers["id_switches_per_track"], numbers["cpu_ms_per_1080p_frame_with_4_faces"]
    lines.append(f"| id switches a track | <= 0.05 | {switches:.3f} |")
    lines.append(f"| CPU ms a 1080p frame with 4 faces | <= 40 | {ms} |")
    lines += [
        "",
        "| film | people | recall 16-24 | recall 24- | precision | switches | looks | ms |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, film in numbers["films"].items():
        shares = [film["recall_16_to_24_px"], film["recall_from_24_px"], film["precision"]]
        cells = " | ".join("-" if share is None else f"{100 * share:.1f} %" for share in shares)
        rest = f"{film['id_switches']} | {film['looks_per_frame']} | {film['cpu_ms_per_frame']}"
        lines.append(f"| {name} | {film['people']} | {cells} | {rest} |")
    lines += ["", "| picture, faces | CPU ms a frame |", "|---|---|"]
    lines += [f"| {name} | {ms} |" for name, ms in numbers["cpu_ms_by_size_and_faces"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    numbers = measure(arguments.media)
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(numbers, indent=2)
    (arguments.out / "tracks.json").write_text(text + "\n", encoding="utf-8")
    (arguments.out / "tracks.md").write_text(table(numbers), encoding="utf-8")
    plot(numbers, arguments.out / "tracks.png")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
