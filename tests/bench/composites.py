"""Footage with faces whose place, size and identity are known, cut from short clips of people.

Each actor is a clip played to and fro, shrunk until the face has the wanted width, and laid over a
backdrop through a soft oval, along a path. The truth is MediaPipe's detector on the unshrunk clip,
mapped through the known placement. The result goes through H.264 like any camera's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from nodes.detector import FaceDetector
from nodes.types import Frame

__all__ = ["RATE", "Actor", "Clip", "TrueFace", "backdrop", "compose", "encoded", "load_clip"]

RATE = 25
Rgb = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class TrueFace:
    """Where a face truly is in one frame of the composite."""

    name: str
    box_xyxy_px: Box
    points_px: npt.NDArray[np.float64]
    """Shape (4, 2): right eye, left eye, nose, mouth."""

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

    clip: Clip
    face_px: float
    start_px: tuple[float, float]
    """Where the face's middle is when it appears."""
    velocity_px_s: tuple[float, float] = (0.0, 0.0)
    frames: tuple[int, int] = (0, 1_000_000)
    """First frame, and first frame after."""
    still: bool = False
    """Show the clip's first picture throughout: nothing but the codec's noise changes."""


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


def compose(
    back: Image.Image, actors: Sequence[Actor], frame: int
) -> tuple[Image.Image, list[TrueFace], list[Box]]:
    """Return one picture, the faces surely in it, and boxes around all actors in it."""
    picture, faces, places = back.copy(), list[TrueFace](), list[Box]()
    for actor in actors:
        first, after = actor.frames
        if not first <= frame < after:
            continue
        clip, scale = actor.clip, actor.face_px / actor.clip.face_px
        turn = 0 if actor.still else (frame - first) % (2 * len(clip.pictures) - 2)
        shown = min(turn, 2 * len(clip.pictures) - 2 - turn)
        middle = _middle(clip)
        seconds = (frame - first) / RATE
        x = actor.start_px[0] + actor.velocity_px_s[0] * seconds - scale * middle[0]
        y = actor.start_px[1] + actor.velocity_px_s[1] * seconds - scale * middle[1]
        _lay(picture, clip, shown, scale, (x, y))
        side = scale * clip.pictures[0].shape[0]
        places.append((x, y, x + side, y + side))
        face = clip.faces[shown]
        shift = np.array([x, y])
        if _is_inside(scale * face.points_px + shift, picture.size):
            x0, y0, x1, y1 = (scale * side for side in face.box_xyxy_px)
            box = (x0 + x, y0 + y, x1 + x, y1 + y)
            faces.append(TrueFace(clip.name, box, scale * face.points_px + shift))
    return picture, faces, places


def _middle(clip: Clip) -> tuple[float, float]:
    x0, y0, x1, y1 = clip.faces[0].box_xyxy_px
    return (x0 + x1) / 2, (y0 + y1) / 2


def _is_inside(points_px: npt.NDArray[np.float64], size: tuple[int, int]) -> bool:
    return bool((points_px >= 0).all() and (points_px < np.array(size)).all())


def _lay(
    picture: Image.Image, clip: Clip, shown: int, scale: float, at: tuple[float, float]
) -> None:
    """Shrink a clip's picture to its place, to a fraction of a pixel, and blend it in."""
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


def encoded(pictures: Sequence[Image.Image], crf: int = 28) -> list[Frame]:
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
