"""How well faces are found and followed, on composites: `python -m tests.bench.measure_tracks`.

    python -m tests.bench.measure_tracks MEDIA_DIR OUT_DIR [--film NAME ...]

`MEDIA_DIR` holds `clip_*.mp4` (see `composites.py` and `films.py`) and `NotoColorEmoji.ttf` (of
Debian's package `fonts-noto-color-emoji`), whose faces, animals and hands are distractors. Each
film's result is kept in `OUT_DIR/films/`, with pictures of the false rows, and is not measured
again. When all films are there, writes `tracks.json`, `tracks.md` (the table of
`docs/tracking.md`) and `tracks.png` (recall over face width).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from nodes.node import Inputs, Segment
from nodes.track import Track, TrackConfig
from nodes.types import Box, Face, Frame, FrameFaces
from tests.bench.composites import RATE, TrueFace, filmed
from tests.bench.films import EMOJI_FONT, Film, cast, crowd, films, films_of_distractors, still_face
from tests.bench.tracks_page import EDGES_PX, plot, table
from tests.support.faces import info_of

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

    @classmethod
    def from_json(cls, counts: dict[str, Any]) -> Counts:
        """Return what `vars` of a film's counts became in its file."""
        made = cls()
        for name, value in counts.items():
            by_width = isinstance(getattr(made, name), dict)
            setattr(
                made,
                name,
                defaultdict(int, {int(edge): count for edge, count in value.items()})
                if by_width
                else value,
            )
        return made

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


def measure_film(film: Film, out: Path) -> None:
    """Run one film, and write `FILM.json` and, of false rows, `FILM.png`."""
    frames, truth = filmed(film.shots)
    found, ms_per_frame, looks = follow(frames)
    strays = [
        (index, face)
        for index, (faces, trues) in enumerate(zip(found, truth, strict=True))
        for face in faces
        if all(face is not own for own in pairs(faces, trues).values())
    ]
    result = {
        "counts": vars(score(found, truth)),
        "cpu_ms_per_frame": round(ms_per_frame, 1),
        "looks_per_frame": round(looks, 1),
        "false": [
            {"frame": index, "track": face.track_id, "score": round(face.score, 3)}
            | {"box": [round(side) for side in face.box_xyxy_px]}
            for index, face in strays
        ],
    }
    (out / f"{film.name}.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    firsts = {face.track_id: (index, face) for index, face in reversed(strays)}
    if firsts:
        picture_of_false(frames, list(firsts.values())).save(out / f"{film.name}.png")


def picture_of_false(frames: Sequence[Frame], rows: Sequence[tuple[int, Face]]) -> Image.Image:
    """Lay out where each false track was first confirmed, three face widths around, 160 px each."""
    columns = min(8, len(rows))
    sheet = Image.new("RGB", (160 * columns, 160 * math.ceil(len(rows) / columns)))
    for place, (index, face) in enumerate(rows):
        x0, y0, x1, y1 = face.box_xyxy_px
        x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, 1.5 * (x1 - x0)
        window = (
            frames[index]
            .picture.to_image()
            .crop((round(x - half), round(y - half), round(x + half), round(y + half)))
        )
        at = (160 * (place % columns), 160 * (place // columns))
        sheet.paste(window.resize((160, 160)), at)
    return sheet


def gather(media: Path, out: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of all films from their files in `out`."""
    total, by_film = Counts(), dict[str, dict[str, Any]]()
    for name in names:
        result = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        counts = Counts.from_json(result["counts"])
        total.add(counts)
        by_film[name] = {
            **counts.numbers(),
            "cpu_ms_per_frame": result["cpu_ms_per_frame"],
            "looks_per_frame": result["looks_per_frame"],
        }
    return {
        **total.numbers(),
        "jitter_of_eye_distance": jitter_of_eye_distance(media, 0),
        "jitter_with_sensor_noise": jitter_of_eye_distance(media, 4),
        "cpu_ms_per_1080p_frame_with_4_faces": by_film["four"]["cpu_ms_per_frame"],
        "cpu_ms_by_size_and_faces": cost_ms(media),
        "films": by_film,
    }


def _scripts(media: Path) -> list[Film]:
    clips = cast(media)
    return [*films(clips), *films_of_distractors(clips, media / EMOJI_FONT)]


def main() -> None:
    """Measure the films that were not yet; with all there, write and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--film", action="append", help="measure only these")
    arguments = parser.parse_args()
    each = arguments.out / "films"
    each.mkdir(parents=True, exist_ok=True)
    scripts = _scripts(arguments.media)
    for film in scripts:
        wanted = not arguments.film or film.name in arguments.film
        if wanted and not (each / f"{film.name}.json").exists():
            measure_film(film, each)
    names = [film.name for film in scripts]
    if not all((each / f"{name}.json").exists() for name in names):
        return
    numbers = gather(arguments.media, each, names)
    text = json.dumps(numbers, indent=2)
    (arguments.out / "tracks.json").write_text(text + "\n", encoding="utf-8")
    (arguments.out / "tracks.md").write_text(table(numbers), encoding="utf-8")
    plot(numbers, arguments.out / "tracks.png")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
