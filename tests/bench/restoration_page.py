"""Before and after, at natural size: `python -m tests.bench.restoration_page MEDIA_DIR OUT.jpg`.

    python -m tests.bench.restoration_page MEDIA_DIR OUT.jpg [--weights aminet]

Clips of people whom AMINet never saw are spoiled as `tests.bench.poor_footage` says, restored by
the program, and shown beside what they were made of.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

import pipeline
from tests.bench.composites import load_clip
from tests.bench.measure_restoration import PEOPLE
from tests.bench.poor_footage import KINDS, Kind

FRAMES: Final = 20
CELL_PX: Final = 300
_ACROSS: Final = 2.6
"""Side of what is shown, in widths of the face's box, at most a cell."""

Rgb = npt.NDArray[np.uint8]


def read(path: Path, count: int) -> list[Rgb]:
    """Decode the first frames of a video."""
    with av.open(path) as container:
        frames = islice(container.decode(video=0), count)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def write(frames: Sequence[Rgb], path: Path) -> None:
    """Encode without loss: what was lost was lost before."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "1", "preset": "veryfast"}
        stream.codec_context.time_base = Fraction(1, 25)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def back_and_forth(frames: Sequence[Rgb]) -> list[Rgb]:
    """Return so many frames of a clip that may be shorter."""
    around = max(1, 2 * len(frames) - 2)
    turns = (index % around for index in range(FRAMES))
    return [frames[min(turn, around - turn)] for turn in turns]


def row(clip: Path, kind: Kind, scale: int, weights: str, folder: Path) -> list[Image.Image]:
    """Return the largest face of one clip: spoiled, restored, and true."""
    sharp = back_and_forth(load_clip(clip).pictures)
    source, output = folder / "source.mkv", folder / "restored.mkv"
    poor = kind(sharp)
    write(poor, source)
    settings = ("encode.codec=ffv1", f"params.weights={weights}")
    pipeline.enhance(source, output, scale=scale, runner="local", settings=settings, overwrite=True)
    lines = (folder / "restored.tracks.jsonl").read_text(encoding="utf-8").splitlines()
    faces = [face for face in map(json.loads, lines) if face["gate"] is None]
    if not faces:
        raise RuntimeError(f"no face of {clip.name} is restored in {kind.__name__}")
    shown = faces[-1]
    x0, y0, x1, y1 = shown["box_xyxy_px"]
    index = shown["frame"]
    restored = read(output, FRAMES)[index]
    middle = scale * np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    side = min(CELL_PX, _ACROSS * scale * (x1 - x0))
    size = (restored.shape[1], restored.shape[0])
    pictures = [Image.fromarray(p) for p in (poor[index], restored, sharp[index])]
    return [_cell(p.resize(size, Image.Resampling.BICUBIC), middle, side) for p in pictures]


def _cell(picture: Image.Image, middle: npt.NDArray[np.floating], side: float) -> Image.Image:
    left, top = np.clip(middle - side / 2, 0, np.array(picture.size) - side).round().astype(int)
    cut = picture.crop((left, top, left + round(side), top + round(side)))
    cell = Image.new("RGB", (CELL_PX, CELL_PX), (24, 24, 24))
    cell.paste(cut, ((CELL_PX - cut.width) // 2, (CELL_PX - cut.height) // 2))
    return cell


def page(media: Path, weights: str, people: Sequence[str]) -> Image.Image:
    """Return two columns of rows: a kind of footage each, for two people."""
    names = list(KINDS)
    sheet = Image.new("RGB", (6 * CELL_PX, len(names) * CELL_PX), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    with tempfile.TemporaryDirectory() as folder:
        for place, name in enumerate(names):
            kind, scale = KINDS[name]
            for half in range(2):
                person = people[(2 * place + half) % len(people)]
                clip = media / f"clip_{person}.mp4"
                for column, cell in enumerate(row(clip, kind, scale, weights, Path(folder))):
                    x, y = (3 * half + column) * CELL_PX, place * CELL_PX
                    sheet.paste(cell, (x, y))
                    label = (name, "restored", "what it was made of")[column]
                    draw.text((x + 6, y + 4), label, (255, 255, 255), stroke_width=2, stroke_fill=0)
    return sheet


def main() -> None:
    """Draw the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default="aminet")
    arguments = parser.parse_args()
    page(arguments.media, arguments.weights, PEOPLE).save(arguments.out, quality=86)


if __name__ == "__main__":
    main()
