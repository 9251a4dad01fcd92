"""Footage with faces whose place, size and identity are known, cut from short clips of people.

Each actor is a clip played to and fro, shrunk until the face has the wanted width, and laid over a
backdrop through a soft oval, along a path. The truth is MediaPipe's detector on the unshrunk clip,
mapped through the known placement. The result goes through H.264 like any camera's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from nodes.track.detector import FaceDetector
from nodes.types import Box, Frame

__all__ = [
    "RATE",
    "Actor",
    "Box",
    "Clip",
    "Prop",
    "Shot",
    "TrueFace",
    "backdrop",
    "compose",
    "filmed",
    "load_clip",
]

RATE = 25
Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class TrueFace:
    """Where a face truly is in one frame of the composite."""

    name: str
    box_xyxy_px: Box
    points_px: npt.NDArray[np.float64]
    """Shape (4, 2): right eye, left eye, nose, mouth."""
    sure: bool = True
    """Whether it shows well enough that it has to be found."""

    @property
    def width_px(self) -> float:
        """Width of the detector's box."""
        return self.box_xyxy_px[2] - self.box_xyxy_px[0]


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A clip of one person, and where the face is in each of its pictures."""

    name: str
    pictures: tuple[Rgb, ...]
    faces: tuple[TrueFace, ...]

    @property
    def face_px(self) -> float:
        """Median width of the face."""
        return float(np.median([face.width_px for face in self.faces]))


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A clip, its size, and its way through the picture."""

    name: str
    """Who it is in the truth: no two actors of a film share one."""
    clip: Clip
    face_px: float
    way: tuple[tuple[float, float, float], ...]
    """Where the face's middle is: seconds since the shot's start, x and y, in straight lines
    between; before the first and after the last it stands."""
    phase: int = 0
    """Which picture of the clip it starts with."""
    still: bool = False
    """Show one picture throughout: nothing but noise and the codec change it."""

    def place(self, time_s: float) -> tuple[float, float]:
        """Return where the face's middle is."""
        return _place(self.way, time_s)


@dataclass(frozen=True, slots=True, eq=False)
class Prop:
    """A thing that is no face."""

    picture: Image.Image
    """RGBA, in its size in the film."""
    way: tuple[tuple[float, float, float], ...]
    """Where its middle is, as of an `Actor`."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What a camera sees between two cuts. Actors are drawn in order, pillars over them."""

    back: Image.Image
    actors: tuple[Actor, ...]
    frames: int
    pillars: tuple[Box, ...] = ()
    props: tuple[Prop, ...] = ()
    """Drawn below the actors."""
    noise: float = 0.0
    """Standard deviation of the sensor's noise, of 255."""


@cache
def load_clip(path: Path) -> Clip:
    """Decode a clip and keep its longest stretch in which one face is surely seen throughout."""
    with av.open(path) as container:
        pictures = [
            np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in container.decode(video=0)
        ]
    detector = FaceDetector(0.5)
    faces = tuple(_true_face(detector, path.stem, picture) for picture in pictures)
    detector.close()
    runs: list[list[int]] = [[]]
    for index, face in enumerate(faces):
        before = faces[runs[-1][-1]] if runs[-1] else None
        if face is None or (before is not None and not _follows(before, face)):
            runs.append([])
        if face is not None:
            runs[-1].append(index)
    longest = max(runs, key=len)
    kept = tuple(face for face in (faces[i] for i in longest) if face is not None)
    return Clip(path.stem, tuple(pictures[i] for i in longest), kept)


def _follows(before: TrueFace, after: TrueFace) -> bool:
    moved = np.abs(np.subtract(after.box_xyxy_px, before.box_xyxy_px)).max()
    return bool(moved < 0.25 * before.width_px)


def _true_face(detector: FaceDetector, name: str, picture: Rgb) -> TrueFace | None:
    found = [d for d in detector.detect(np.ascontiguousarray(picture)) if d.score > 0.7]
    if not found:
        return None
    best = max(found, key=lambda d: d.box_xyxy_px[2] - d.box_xyxy_px[0])
    return TrueFace(name, best.box_xyxy_px, best.points_px)


def backdrop(width_px: int, height_px: int, seed: int) -> Image.Image:
    """Draw windows, doors and poles over cloudy noise: edges and corners, and no face."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 170, (max(2, height_px // 60), max(2, width_px // 60), 3))
    image = Image.fromarray(coarse.astype(np.uint8)).resize((width_px, height_px), 3)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.integers(0, width_px), rng.integers(0, height_px)
        w, h = rng.integers(6, width_px // 8), rng.integers(6, height_px // 4)
        tone = rng.integers(20, 220)
        tint = tuple(int(np.clip(tone + t, 0, 255)) for t in rng.integers(-25, 25, 3))
        draw.rectangle((int(x), int(y), int(x + w), int(y + h)), fill=tint, outline=(30, 30, 30))
    noise = rng.normal(0, 8, (height_px, width_px, 1))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), np.float64)
    return Image.fromarray(np.clip(soft + noise, 0, 255).astype(np.uint8))


def filmed(shots: Sequence[Shot], crf: int = 28) -> tuple[list[Frame], list[list[TrueFace]]]:
    """Compose and encode shots one after the other; return the frames, and each one's faces."""
    made = [compose(shot, index) for shot in shots for index in range(shot.frames)]
    return encoded([picture for picture, _ in made], crf), [faces for _, faces in made]


def _place(way: Sequence[tuple[float, float, float]], time_s: float) -> tuple[float, float]:
    times, xs, ys = zip(*way, strict=True)
    return float(np.interp(time_s, times, xs)), float(np.interp(time_s, times, ys))


def compose(shot: Shot, index: int) -> tuple[Image.Image, list[TrueFace]]:
    """Return one picture of a shot, and the faces in it."""
    picture = shot.back.copy()
    for prop in shot.props:
        x, y = _place(prop.way, index / RATE)
        at = (round(x - prop.picture.width / 2), round(y - prop.picture.height / 2))
        picture.paste(prop.picture, at, prop.picture)
    boxes: list[Box] = []
    ovals: list[tuple[int, int, Image.Image]] = []
    found: list[TrueFace] = []
    for actor in shot.actors:
        clip, scale = actor.clip, actor.face_px / actor.clip.face_px
        around = 2 * len(clip.pictures) - 2
        turn = (actor.phase if actor.still else actor.phase + index) % around
        shown = min(turn, around - turn)
        middle = _middle(clip)
        shift = np.array(actor.place(index / RATE)) - scale * np.array(middle)
        ovals.append(_lay(picture, clip, shown, scale, (float(shift[0]), float(shift[1]))))
        face = clip.faces[shown]
        left, top, right, bottom = (scale * side for side in face.box_xyxy_px)
        x, y = shift
        boxes.append((left + x, top + y, right + x, bottom + y))
        found.append(TrueFace(actor.name, boxes[-1], scale * face.points_px + shift))
    for x0, y0, x1, y1 in shot.pillars:
        pillar = Image.new("RGB", (int(x1 - x0), int(y1 - y0)), (74, 70, 66))
        picture.paste(pillar, (int(x0), int(y0)))
    faces = [
        face
        for place, face in enumerate(found)
        if (shown := _visible(face, ovals[place + 1 :], shot.pillars, picture.size)) > _GLIMPSE
        for face in (replace(face, sure=shown > _SURE),)
    ]
    if shot.noise:
        rng = np.random.default_rng(index)
        grain = rng.normal(0, shot.noise, (picture.height, picture.width, 1))
        noisy = np.clip(np.asarray(picture, np.float64) + grain, 0, 255).astype(np.uint8)
        picture = Image.fromarray(noisy)
    return picture, faces


_GLIMPSE, _SURE = 0.15, 0.75
"""Share of a face's box that must show for it to be there at all, and to be surely seen."""


def _visible(
    face: TrueFace,
    over: Sequence[tuple[int, int, Image.Image]],
    pillars: Sequence[Box],
    size: tuple[int, int],
) -> float:
    """Return what share of a face's box is inside the picture and not covered."""
    x0, y0, x1, y1 = (round(side) for side in face.box_xyxy_px)
    shows = np.zeros((max(1, y1 - y0), max(1, x1 - x0)), bool)
    shows[max(0, -y0) : max(0, size[1] - y0), max(0, -x0) : max(0, size[0] - x0)] = True
    for left, top, right, bottom in pillars:
        rows = slice(max(0, int(top) - y0), max(0, int(bottom) - y0))
        shows[rows, max(0, int(left) - x0) : max(0, int(right) - x0)] = False
    for left, top, oval in over:
        box = (x0 - left, y0 - top, x0 - left + shows.shape[1], y0 - top + shows.shape[0])
        shows &= np.asarray(oval.crop(box)) < 128
    return float(shows.mean())


def _middle(clip: Clip) -> tuple[float, float]:
    x0, y0, x1, y1 = clip.faces[0].box_xyxy_px
    return (x0 + x1) / 2, (y0 + y1) / 2


def _lay(
    picture: Image.Image, clip: Clip, shown: int, scale: float, at: tuple[float, float]
) -> tuple[int, int, Image.Image]:
    """Shrink a clip's picture to its place, to a fraction of a pixel, and blend it in.

    Returns:
        Left and top of what was laid, and its mask.
    """
    left, top = int(np.floor(at[0])), int(np.floor(at[1]))
    side = int(np.ceil(scale * clip.pictures[0].shape[0])) + 1
    # Area average first, so that nothing aliases; the rest is a shift by a fraction of a pixel.
    source = Image.fromarray(clip.pictures[shown])
    step = max(1, int(1 / scale))
    small = source.reduce(step)
    k = 1 / (scale * step)
    matrix = (k, 0.0, -k * (at[0] - left), 0.0, k, -k * (at[1] - top))
    warped = small.transform((side, side), Image.Transform.AFFINE, matrix, 3)
    oval = _oval(clip).reduce(step).transform((side, side), Image.Transform.AFFINE, matrix, 3)
    picture.paste(warped, (left, top), oval)
    return left, top, oval


@cache
def _oval(clip: Clip) -> Image.Image:
    """Return a soft mask that holds the head wherever it goes in the clip, and the shoulders."""
    height, width = clip.pictures[0].shape[:2]
    boxes = np.array([face.box_xyxy_px for face in clip.faces])
    x0, y0, x1 = *boxes[:, :2].min(axis=0), boxes[:, 2].max()
    grow = 0.45 * (x1 - x0)
    mask = Image.new("L", (width, height))
    oval = (max(6, x0 - grow), max(6, y0 - 1.6 * grow), min(width - 6, x1 + grow), height + grow)
    ImageDraw.Draw(mask).ellipse(oval, fill=255)
    frame = Image.new("L", (width, height))
    ImageDraw.Draw(frame).rectangle((8, 8, width - 8, height - 8), fill=255)
    mask = Image.composite(mask, Image.new("L", mask.size), frame)
    return mask.filter(ImageFilter.GaussianBlur(5))


def encoded(pictures: Sequence[Image.Image], crf: int) -> list[Frame]:
    """Take pictures through H.264 and back."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        stream.codec_context.time_base = Fraction(1, RATE)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as coded:
        return [Frame(i, i, 1, f) for i, f in enumerate(coded.decode(video=0))]
