"""Faces that differ, before and after: `python -m tests.bench.restoration_cases FACES DOCS`.

    python -m tests.bench.restoration_cases FACES DOCS [--looks faithful sharp] [--features LPIPS]

Pictures of people who do not exist, and whom AMINet never saw, hang in a film of a poor camera: the
hand trembles, the lens is soft, the sensor noisy, and H.264 has few bits. The program restores the
film at scale 4 with each look. Writes two pictures at the size of the output: all cases beside what
was filmed (`restoration_cases.jpg`), and a few before and after (`before_after.jpg`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import pipeline
from aminet.judge.judges import load_judges
from tests.bench.measure_restoration import write

SCALE: Final = 4
FRAMES: Final = 10
CRF: Final = 24
CELL_PX: Final = 72
"""Side of the place of each picture in the film."""
COLUMNS: Final = 4
EYES: Final = 28 / 128
"""Distance between the eyes in a crop, in its sides."""
VIEW_PX: Final = 216
"""Side of what is shown of each face."""

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Case:
    """A face, and how large it is filmed."""

    name: str
    file: str
    """In the folder of faces, aligned as the training crops are."""
    eyes_px: float = 13.0
    front: bool = False
    """Whether it is shown in the README."""

    @property
    def side_px(self) -> int:
        """Side of its picture in the film."""
        return round(self.eyes_px / EYES)


CASES: Final = (
    Case("small", "faces2_id1890_00.webp", 8),
    Case("old", "faces2_id1712_00.webp", front=True),
    Case("dark skin", "faces2_id1038_00.webp", front=True),
    Case("in the shade", "faces2_id1786_00.webp"),
    Case("turned", "faces2_id1131_00.webp"),
    Case("glasses", "faces2_id1950_00.webp", front=True),
    Case("beard", "faces2_id2009_00.webp", front=True),
    Case("child", "faces2_id1559_00.webp"),
    Case("too small", "faces2_id1923_00.webp", 5.5),
    Case("an unusual face", "faces2_id1441_00.webp", 7),
)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """What was filmed, and where each case is."""

    poor: list[Image.Image]
    truth: list[Image.Image]
    """The last frame of each case, at the size of the output."""
    corners_px: list[tuple[int, int]]
    """Left and top of each case in the film."""


def filmed(faces: Path) -> Film:
    """Make the film."""
    rng = np.random.default_rng(3)
    rows = -(-len(CASES) // COLUMNS)
    frames = [Image.new("RGB", (COLUMNS * CELL_PX, rows * CELL_PX), (96, 100, 104))] * FRAMES
    frames = [frame.copy() for frame in frames]
    truth: list[Image.Image] = []
    corners: list[tuple[int, int]] = []
    for place, case in enumerate(CASES):
        with Image.open(faces / case.file) as opened:
            face = opened.convert("RGB")
        side, pixel = case.side_px, face.width / case.side_px
        column, row = place % COLUMNS, place // COLUMNS
        margin = (CELL_PX - side) // 2
        corners.append((column * CELL_PX + margin, row * CELL_PX + margin))
        # The hand goes about a pixel to and fro, to no whole pixel.
        shifts = pixel * (0.5 + 0.5 * np.sin(np.arange(FRAMES)[:, None] * (0.9, 0.7) + place))
        box = (0.0, 0.0, 0.0, 0.0)
        for frame, (x, y) in zip(frames, shifts.tolist(), strict=True):
            right, bottom = face.width - 1.1 * pixel + x, face.height - 1.1 * pixel + y
            box = (x, y, min(right, face.width), min(bottom, face.height))
            small = face.resize((side, side), Image.Resampling.BOX, box)
            frame.paste(small.filter(ImageFilter.GaussianBlur(0.4)), corners[-1])
        large = SCALE * side
        truth.append(face.resize((large, large), Image.Resampling.BICUBIC, box))
    poor: list[Image.Image] = []
    for frame in frames:
        noise = rng.normal(0, 2, (frame.height, frame.width, 1))
        noisy = np.clip((np.asarray(frame) + noise).round(), 0, 255).astype(np.uint8)
        poor.append(Image.fromarray(noisy))
    return Film(poor, truth, corners)


def last_frame(path: Path) -> Image.Image:
    """Decode the last frame of the film."""
    with av.open(path) as container:
        *_, frame = islice(container.decode(video=0), FRAMES)
        return frame.to_image()


def restored(source: Path, folder: Path, look: str) -> tuple[Image.Image, set[int]]:
    """Return the last frame restored with one look, and the cases that were restored in it."""
    output = folder / "restored.mkv"
    pipeline.enhance(
        source,
        output,
        scale=SCALE,
        look=look,
        runner="local",
        settings=["encode.codec=ffv1"],
        overwrite=True,
    )
    lines = (folder / "restored.tracks.jsonl").read_text(encoding="utf-8").splitlines()
    faces = [face for face in map(json.loads, lines) if face["frame"] == FRAMES - 1]
    done: set[int] = set()
    for face in faces:
        x0, y0, x1, y1 = face["box_xyxy_px"]
        if face["gate"] is None:
            done.add(int((y0 + y1) / 2 // CELL_PX) * COLUMNS + int((x0 + x1) / 2 // CELL_PX))
    return last_frame(output), done


def cut(picture: Image.Image, corner_px: tuple[int, int], side_px: int) -> Image.Image:
    """Cut the middle of a case out of a picture of the output's size."""
    x, y = (SCALE * edge for edge in corner_px)
    return middle(picture.crop((x, y, x + SCALE * side_px, y + SCALE * side_px)))


def middle(picture: Image.Image) -> Image.Image:
    """Cut the middle out of a picture, or put it in the middle of what is shown."""
    view = Image.new("RGB", (VIEW_PX, VIEW_PX), (24, 24, 24))
    view.paste(picture, ((VIEW_PX - picture.width) // 2, (VIEW_PX - picture.height) // 2))
    return view


def gain_db(poor: Image.Image, made: Image.Image, truth: Image.Image) -> float:
    """Return how much nearer to the truth a face came, PSNR of luma on an oval."""
    weights = np.array([0.299, 0.587, 0.114])
    luma = [np.asarray(picture, np.float64) @ weights for picture in (poor, made, truth)]
    y, x = np.mgrid[0:VIEW_PX, 0:VIEW_PX] / VIEW_PX - 0.5
    shown = np.asarray(truth).any(axis=2) & (np.asarray(truth) != 24).any(axis=2)
    face = (x**2 + y**2 < 0.1) & shown
    before, after = (np.square(side - luma[2])[face].mean() for side in luma[:2])
    return float(10 * np.log10(before / after))


def sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]], heads: Sequence[str]) -> Image.Image:
    """Draw rows of pictures with their names."""
    head_px = 26 if any(heads) else 0
    page = Image.new("RGB", (len(heads) * VIEW_PX, head_px + len(rows) * VIEW_PX), (24, 24, 24))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for column, head in enumerate(heads):
        at = (column * VIEW_PX + VIEW_PX / 2, head_px / 2)
        draw.text(at, head, (235, 235, 235), font=font, anchor="mm")
    for row, (name, pictures) in enumerate(rows):
        top = head_px + row * VIEW_PX
        for column, picture in enumerate(pictures):
            page.paste(picture, (column * VIEW_PX, top))
        draw.text((6, top + 4), name, (255, 255, 255), font=font, stroke_width=2, stroke_fill=0)
    return page


def main() -> None:
    """Film, restore, draw, and print what each face gained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("docs", type=Path)
    parser.add_argument("--looks", nargs="+", default=["faithful", "sharp"])
    parser.add_argument("--features", type=Path, help="weights of LPIPS, to measure that too")
    arguments = parser.parse_args()
    film = filmed(arguments.faces)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "film.mkv"
        write(film.poor, source, CRF)
        seen = last_frame(source)
        made = [restored(source, Path(name), look) for look in arguments.looks]
    rows = compared(film, seen, [picture for picture, _ in made])
    say_gains(rows, made[0][1], arguments.looks, arguments.features)
    draw(rows, arguments.looks, arguments.docs)


Rows = list[tuple[str, list[Image.Image]]]
"""Each case, and its pictures: enlarged, restored with each look, and true."""


def compared(film: Film, seen: Image.Image, made: Sequence[Image.Image]) -> Rows:
    """Cut the cases out of the film's last frame, of the same restored, and of the truth."""
    enlarged = seen.resize(made[0].size, Image.Resampling.BICUBIC)
    rows: Rows = []
    for place, case in enumerate(CASES):
        corner_px, side_px = film.corners_px[place], case.side_px
        cells = [cut(picture, corner_px, side_px) for picture in (enlarged, *made)]
        rows.append((case.name, [*cells, middle(film.truth[place])]))
    return rows


def say_gains(rows: Rows, done: set[int], looks: Sequence[str], features: Path | None) -> None:
    """Print what each face gained with each look, and the mean LPIPS over that of the film."""
    shares: dict[str, list[float]] = {look: [] for look in looks}
    lpips = None if features is None else load_judges([features], torch.device("cpu")).lpips
    for place, (case, (_, cells)) in enumerate(zip(CASES, rows, strict=True)):
        poor, *after, truth = cells
        gains = ", ".join(
            f"{look} {gain_db(poor, cell, truth):+.2f} dB"
            for look, cell in zip(looks, after, strict=True)
        )
        state = "restored" if place in done else "left alone"
        sys.stdout.write(f"{case.name:>16}, eyes {case.eyes_px:4.1f} px: {state}, {gains}\n")
        if lpips is not None:
            with torch.inference_mode():
                before, *far = (float(lpips(_tensor(p), _tensor(truth))) for p in (poor, *after))
            for look, distance in zip(looks, far, strict=True):
                shares[look].append(distance / before)
    for look, values in shares.items():
        if values:
            sys.stdout.write(f"LPIPS of {look}: {np.mean(values):.2f} of the film's\n")


def _tensor(picture: Image.Image) -> torch.Tensor:
    values = np.asarray(picture, np.float32) / 255
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def draw(rows: Rows, looks: Sequence[str], docs: Path) -> None:
    """Draw all cases with each look, and a few with the first look for the README."""
    sheet(rows, ("the film, enlarged", *looks, "what was filmed")).save(
        docs / "restoration_cases.jpg", quality=88
    )
    front = [rows[place][1] for place, case in enumerate(CASES) if case.front]
    both = [("before", [cells[0] for cells in front]), ("after", [cells[1] for cells in front])]
    sheet(both, [""] * len(front)).save(docs / "before_after.jpg", quality=90)


if __name__ == "__main__":
    main()
