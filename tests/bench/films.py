"""What the tracking bench is filmed of: small crowds, crossings, pillars, cuts, near faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from tests.bench.composites import RATE, Actor, Clip, Prop, Shot, backdrop, load_clip
from tests.bench.distractors import EMOJI_FONT, distractors

__all__ = [
    "CAST",
    "EMOJI_FONT",
    "Film",
    "cast",
    "crowd",
    "films",
    "films_of_distractors",
    "still_face",
]

CAST: Final = (
    "woman_beige",
    "man_sunglasses",
    "woman_window",
    "boy_cap",
    "woman_beanie",
    "man_snow",
    "woman_tram",
    "man_shouting",
)
"""Clips whose one face stays in view long enough. A crowd shows each more than once."""

HD: Final = (1280, 720)
FULL_HD: Final = (1920, 1080)
_THINGS_PER_SHOT: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A name and what is seen."""

    name: str
    shots: tuple[Shot, ...]


def cast(media: Path) -> list[Clip]:
    """Load the people."""
    return [load_clip(media / f"clip_{name}.mp4") for name in CAST]


def crowd(
    clips: Sequence[Clip],
    widths_px: Sequence[float],
    size_px: tuple[int, int],
    *,
    seed: int,
    frames: int = 3 * RATE,
    pace: float = 0.6,
) -> Shot:
    """Let people of given face widths wander over a backdrop, each in a cell of its own.

    Args:
        clips: taken in turn.
        widths_px: of the faces.
        size_px: of the picture.
        seed: places, ways and backdrop.
        frames: how long.
        pace: in face widths a second.
    """
    rng = np.random.default_rng(seed)
    columns = max(1, int(np.ceil(np.sqrt(len(widths_px) * size_px[0] / size_px[1]))))
    rows = max(1, int(np.ceil(len(widths_px) / columns)))
    cell = np.array(size_px) / (columns, rows)
    actors: list[Actor] = []
    for place, width_px in enumerate(widths_px):
        middle = cell * (place % columns + 0.5, place // columns + 0.45)
        direction = rng.uniform(0, 2 * np.pi)
        seconds = frames / RATE
        step = pace * width_px * seconds / 2 * np.array([np.cos(direction), np.sin(direction)])
        ends = [middle + rng.uniform(-0.1, 0.1, 2) * cell + sign * step for sign in (-1, 1)]
        way = tuple((t, float(x), float(y)) for t, (x, y) in zip((0.0, seconds), ends, strict=True))
        clip = clips[place % len(clips)]
        phase = int(rng.integers(0, len(clip.pictures)))
        actors.append(Actor(f"{seed}.{place}", clip, width_px, way, phase))
    return Shot(backdrop(*size_px, seed), tuple(actors), frames)


def still_face(clip: Clip, *, noise: float) -> Shot:
    """Let one face stand still before a camera that stands still."""
    actor = Actor("still", clip, 60.0, ((0.0, 320.0, 180.0),), still=True)
    return Shot(backdrop(640, 360, 9), (actor,), 3 * RATE, noise=noise)


def films(clips: Sequence[Clip]) -> list[Film]:
    """Return the films of people; each face counts by its width wherever it is seen."""
    small = np.linspace(12, 30, 12).tolist()
    middling = np.geomspace(20, 70, 20).tolist()
    cut = (
        crowd(clips, [60, 90, 40], HD, seed=31, frames=RATE),
        crowd(clips[3:], [26, 34, 120, 50, 30], HD, seed=32, frames=RATE),
        crowd(clips[5:], [200], HD, seed=33, frames=RATE),
    )
    return [
        Film("small", (crowd(clips, small, HD, seed=11),)),
        Film("small, far away", (crowd(clips, [13, 15, 17, 19, 21, 23, 26], HD, seed=12),)),
        Film("crowd of 20", (crowd(clips, middling, FULL_HD, seed=21),)),
        Film("cuts", cut),
        Film("near", (crowd(clips, [200, 140, 100], HD, seed=41),)),
        Film("crossing", (_crossing(clips),)),
        Film("pillars", (_pillars(clips),)),
        Film("leaving", (_leaving(clips),)),
        Film("four", (crowd(clips, [40, 60, 90, 120], FULL_HD, seed=7),)),
    ]


def films_of_distractors(clips: Sequence[Clip], emoji: Path) -> list[Film]:
    """Return films of a few people among many things; no limit was chosen by the last one."""
    return [
        Film("distractors", _among_distractors(clips, emoji, 0)),
        Film("distractors, second set", _among_distractors(clips[4:], emoji, 1)),
        Film("distractors, held out", _among_distractors(clips[2:], emoji, 2)),
    ]


def _among_distractors(clips: Sequence[Clip], emoji: Path, part: int) -> tuple[Shot, ...]:
    """Show four people before a wall of things that are no faces, every third of which moves."""
    things = distractors(emoji, part=part, seed=61)
    shots: list[Shot] = []
    for first in range(0, len(things), _THINGS_PER_SHOT):
        seed = 62 + first + part
        rng = np.random.default_rng(seed)
        shot = crowd(clips, [24, 36, 56, 80], FULL_HD, seed=seed, frames=2 * RATE)
        columns, rows = 6, 4
        props: list[Prop] = []
        for place, thing in enumerate(things[first : first + _THINGS_PER_SHOT]):
            scale = float(np.exp(rng.uniform(np.log(0.22), np.log(1.1))))
            size = tuple(max(1, round(scale * side)) for side in thing.size)
            x = (place % columns + rng.uniform(0.3, 0.7)) * FULL_HD[0] / columns
            y = (place // columns + rng.uniform(0.3, 0.7)) * FULL_HD[1] / rows
            step = 60.0 * (place % 3 == 0)
            way = ((0.0, float(x) - step, float(y)), (2.0, float(x) + step, float(y)))
            small = thing.resize((size[0], size[1]), Image.Resampling.BOX)
            props.append(Prop(small, way))
        shots.append(replace(shot, props=tuple(props)))
    return tuple(shots)


def _crossing(clips: Sequence[Clip]) -> Shot:
    """Pairs walk through each other, the one in front hiding the other."""
    actors: list[Actor] = []
    frames = 3 * RATE
    for pair, width_px in enumerate((24.0, 36.0, 56.0, 80.0)):
        y = (80.0, 200.0, 370.0, 580.0)[pair]
        low, high = 300.0 - 2 * width_px, 900.0 + 2 * width_px
        for side, (start, end) in enumerate(((low, high), (high, low))):
            way = ((0.2, start, y), (frames / RATE, end, y + 0.3 * width_px))
            clip = clips[(2 * pair + side) % len(clips)]
            actors.append(Actor(f"cross.{pair}.{side}", clip, width_px, way))
    return Shot(backdrop(*HD, 51), tuple(actors), frames)


def _pillars(clips: Sequence[Clip]) -> Shot:
    """People walk behind pillars and come out again after 0.3 to 1.2 s."""
    frames = 4 * RATE
    actors: list[Actor] = []
    for place, (width_px, speed) in enumerate(
        ((28.0, 110.0), (40.0, 130.0), (60.0, 160.0), (90.0, 200.0))
    ):
        y = (80.0, 190.0, 350.0, 560.0)[place]
        start = 560.0 - 1.6 * speed
        way = ((0.0, start, y), (frames / RATE, start + speed * frames / RATE, y))
        actors.append(Actor(f"pillar.{place}", clips[place], width_px, way))
    return Shot(backdrop(*HD, 52), tuple(actors), frames, ((560.0, 0.0, 660.0, 720.0),))


def _leaving(clips: Sequence[Clip]) -> Shot:
    """People leave the picture and come back, others come in, one goes for good."""
    frames = 4 * RATE
    ways = (
        ((0.2, 120.0, 150.0), (1.2, -90.0, 150.0), (2.0, -90.0, 150.0), (3.0, 120.0, 150.0)),
        ((0.0, 1400.0, 300.0), (2.0, 1000.0, 300.0), (4.0, 900.0, 300.0)),
        ((0.5, 600.0, 600.0), (2.0, 600.0, 840.0)),
        ((0.0, 300.0, 500.0), (4.0, 420.0, 470.0)),
    )
    widths_px = (50.0, 70.0, 90.0, 30.0)
    actors = tuple(
        Actor(f"leave.{place}", clips[place + 3], width_px, way)
        for place, (width_px, way) in enumerate(zip(widths_px, ways, strict=True))
    )
    return Shot(backdrop(*HD, 53), actors, frames)
