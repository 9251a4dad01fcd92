"""Before and after, at natural size: `python -m tests.bench.restoration_page MEDIA_DIR OUT.jpg`.

    python -m tests.bench.restoration_page MEDIA_DIR OUT.jpg [--looks faithful sharp]

Clips of people whom AMINet never saw are spoiled as `tests.bench.poor_footage` says, restored by
the program with each look, and shown beside what they were made of.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

import pipeline
from tests.bench.composites import load_clip
from tests.bench.measure_restoration import PEOPLE
from tests.bench.poor_footage import KINDS, Kind

FRAMES: Final = 12
CELL_PX: Final = 240
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


def row(
    clip: Path, kind: Kind, scale: int, looks: Sequence[str], folder: Path
) -> list[Image.Image]:
    """Return the largest face of one clip: spoiled, restored with each look, and true."""
    sharp = back_and_forth(load_clip(clip).pictures)
    source = folder / "source.mkv"
    poor = kind(sharp)
    write(poor, source)
    shown: dict[str, Any] = {}
    made: list[Rgb] = []
    for look in looks:
        output = folder / f"{look}.mkv"
        pipeline.enhance(
            source,
            output,
            scale=scale,
            look=look,
            runner="local",
            settings=("encode.codec=ffv1",),
            overwrite=True,
        )
        lines = output.with_suffix(".tracks.jsonl").read_text(encoding="utf-8").splitlines()
        faces = [face for face in map(json.loads, lines) if face["gate"] is None]
        if not faces:
            raise RuntimeError(f"no face of {clip.name} is restored in {kind.__name__}")
        shown = shown or faces[-1]
        made.append(read(output, FRAMES)[shown["frame"]])
    x0, y0, x1, y1 = shown["box_xyxy_px"]
    middle = scale * np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    side = min(CELL_PX, _ACROSS * scale * (x1 - x0))
    size = (made[0].shape[1], made[0].shape[0])
    frames = (poor[shown["frame"]], *made, sharp[shown["frame"]])
    enlarged = (Image.fromarray(p).resize(size, Image.Resampling.BICUBIC) for p in frames)
    return [_cell(picture, middle, side) for picture in enlarged]


def _cell(picture: Image.Image, middle: npt.NDArray[np.floating], side: float) -> Image.Image:
    left, top = np.clip(middle - side / 2, 0, np.array(picture.size) - side).round().astype(int)
    cut = picture.crop((left, top, left + round(side), top + round(side)))
    cell = Image.new("RGB", (CELL_PX, CELL_PX), (24, 24, 24))
    cell.paste(cut, ((CELL_PX - cut.width) // 2, (CELL_PX - cut.height) // 2))
    return cell


def page(media: Path, looks: Sequence[str], people: Sequence[str]) -> Image.Image:
    """Return two rows for each kind of footage, of one person each."""
    names = [name for name in KINDS for _ in range(2)]
    sheet = Image.new("RGB", ((2 + len(looks)) * CELL_PX, len(names) * CELL_PX), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    with tempfile.TemporaryDirectory() as folder:
        for place, name in enumerate(names):
            kind, scale = KINDS[name]
            clip = media / f"clip_{people[place % len(people)]}.mp4"
            labels = (name, *looks, "what it was made of")
            cells = row(clip, kind, scale, looks, Path(folder))
            for column, (label, cell) in enumerate(zip(labels, cells, strict=True)):
                x, y = column * CELL_PX, place * CELL_PX
                sheet.paste(cell, (x, y))
                draw.text((x + 6, y + 4), label, (255, 255, 255), stroke_width=2, stroke_fill=0)
    return sheet


def main() -> None:
    """Draw the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--looks", nargs="+", default=["faithful", "sharp"])
    arguments = parser.parse_args()
    page(arguments.media, arguments.looks, PEOPLE).save(arguments.out, quality=86)


if __name__ == "__main__":
    main()
