"""How well faces are found and followed, on composites: `python -m tests.bench.measure_tracks`.

    python -m tests.bench.measure_tracks MEDIA_DIR OUT_DIR

`MEDIA_DIR` holds `clip_*.mp4` (see `composites.py`). Writes `tracks.json`, and `tracks.png` with
recall over face width when matplotlib is there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from nodes.node import Inputs, Segment
from nodes.track import Track, TrackConfig
from nodes.types import ColorTags, Face, Frame, FrameFaces, VideoInfo
from tests.bench.composites import RATE, Actor, Clip, TrueFace, backdrop, compose, encoded
from tests.bench.composites import load_clip as load

CLIPS: Final = ("man_shouting", "man_snow", "woman_beanie", "woman_beige", "woman_tram")
"""Those whose one face stays in view long enough; two more people stand in the sample videos."""
EDGES_PX: Final = (12, 16, 24, 32, 48, 64, 96, 200)
FRAMES: Final = 50
WARM_UP_FRAMES: Final = 13
"""Half a second: by then every part of the picture has been looked at."""


@dataclass
class Tally:
    """What was seen of what there was."""

    wanted: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Faces by the lower edge of their width's class."""
    found: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    believed: int = 0
    strays: int = 0
    people: int = 0
    switches: int = 0


def follow(frames: Sequence[Frame]) -> tuple[list[tuple[Face, ...]], float]:
    """Return the confirmed faces of each frame, and CPU ms a frame after the first second."""
    picture = frames[0].picture
    info = VideoInfo(
        width_px=picture.width,
        height_px=picture.height,
        pix_fmt=picture.format.name,
        time_base=Fraction(1, RATE),
        average_rate=Fraction(RATE),
        sample_aspect_ratio=Fraction(1),
        rotation_deg=0,
        color=ColorTags(),
        codec_name="h264",
        bit_depth=8,
    )
    track = Track(TrackConfig())
    track.open(Segment("composite", Path(), 1), {"frames": info})
    found: list[tuple[Face, ...]] = []
    spent_s: list[float] = []
    for frame in frames:
        started_s = time.process_time()
        packet = track.process(Inputs({"frames": frame}))["faces"]
        spent_s.append(time.process_time() - started_s)
        assert isinstance(packet, FrameFaces)
        found.append(tuple(face for face in packet.faces if face.confirmed))
    track.close()
    return found, 1000 * float(np.mean(spent_s[RATE:]))


def is_of(face: Face, true: TrueFace) -> bool:
    """Tell whether a found face is that person's."""
    x0, y0, x1, y1 = face.box_xyxy_px
    left, top, right, bottom = true.box_xyxy_px
    inside = left < (x0 + x1) / 2 < right and top < (y0 + y1) / 2 < bottom
    return inside and 0.5 < (x1 - x0) / true.width_px < 2


def score(tally: Tally, found: list[tuple[Face, ...]], truth: list[list[TrueFace]]) -> None:
    """Add one scene to the tally."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for index, (faces, trues) in enumerate(zip(found, truth, strict=True)):
        tally.believed += len(faces)
        tally.strays += sum(not any(is_of(face, true) for true in trues) for face in faces)
        for true in trues:
            ids = [face.track_id for face in faces if is_of(face, true)]
            numbers[true.name] += ids[:1]
            if index >= WARM_UP_FRAMES:
                edge = max(edge for edge in EDGES_PX if edge <= max(true.width_px, EDGES_PX[0]))
                tally.wanted[edge] += 1
                tally.found[edge] += bool(ids)
    tally.people += len(numbers)
    tally.switches += sum(a != b for ids in numbers.values() for a, b in pairwise(ids))


def scene(
    clips: Sequence[Clip], widths_px: Sequence[float], size_px: tuple[int, int], seed: int
) -> tuple[list[Frame], list[list[TrueFace]]]:
    """Let people of given face widths wander over a backdrop, each from a place of its own."""
    rng = np.random.default_rng(seed)
    step_px = size_px[0] / len(clips)
    actors = [
        Actor(
            clip,
            width_px,
            ((place + 0.5) * step_px, size_px[1] * (0.35 + 0.3 * (place % 2))),
            (float(rng.uniform(-30, 30)), float(rng.uniform(-15, 15))),
        )
        for place, (clip, width_px) in enumerate(zip(clips, widths_px, strict=True))
    ]
    return filmed(backdrop(*size_px, seed), actors)


def filmed(back: Image.Image, actors: Sequence[Actor]) -> tuple[list[Frame], list[list[TrueFace]]]:
    """Compose and encode `FRAMES` frames."""
    made = [compose(back, actors, index) for index in range(FRAMES)]
    return encoded([picture for picture, _, _ in made]), [faces for _, faces, _ in made]


def jitter_of_eye_distance(clip: Clip) -> float:
    """Return the points' standard deviation over its eye distance, for a face that stays still."""
    actor = Actor(clip, 60.0, (320.0, 180.0), still=True)
    frames, _ = filmed(backdrop(640, 360, 9), [actor])
    found, _ = follow(frames)
    faces = [faces[0] for faces in found[WARM_UP_FRAMES:] if faces]
    points = np.stack([face.points_px for face in faces])
    return float(points.std(axis=0).mean()) / faces[0].eye_distance_px


def measure(media: Path) -> dict[str, Any]:
    """Run all scenes and return the numbers."""
    clips = [load(media / f"clip_{name}.mp4") for name in CLIPS]
    tally = Tally()
    for seed, widths_px in enumerate(([14, 18, 22, 28, 36], [20, 26, 44, 56, 80])):
        order = [clips[(place + 2 * seed) % len(clips)] for place in range(len(clips))]
        frames, truth = scene(order, widths_px, (1280, 720), seed)
        score(tally, follow(frames)[0], truth)
    frames, truth = scene(clips[:4], [40, 60, 90, 120], (1920, 1080), 7)
    found, ms_per_frame = follow(frames)
    score(tally, found, truth)
    return {
        "recall_by_width_px": {
            edge: round(tally.found[edge] / tally.wanted[edge], 4) for edge in sorted(tally.wanted)
        },
        "precision": round(1 - tally.strays / max(1, tally.believed), 4),
        "id_switches_per_track": round(tally.switches / max(1, tally.people), 4),
        "jitter_of_eye_distance": round(jitter_of_eye_distance(clips[3]), 5),
        "cpu_ms_per_1080p_frame_with_4_faces": round(ms_per_frame, 1),
    }


def plot(numbers: dict[str, Any], path: Path) -> None:
    """Draw recall over face width."""
    from matplotlib import pyplot as plt

    recall: dict[int, float] = numbers["recall_by_width_px"]
    figure, axes = plt.subplots(figsize=(6, 3.5))
    axes.plot(list(recall), list(recall.values()), "o-")
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="face width, px", ylabel="recall")
    axes.grid(alpha=0.4)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


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
    plot(numbers, arguments.out / "tracks.png")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
