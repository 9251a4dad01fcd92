"""Draws a before/after picture: each true face as it was, as restored, and as it should be.

Run: `python -m tests.quality.comparison street out/street.mp4 street.png [--frame 30]`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.quality.face_quality import SampleTruth

__all__ = ["comparison"]

CELL_PX = 224
HEADER_PX = 28
FACE_WIDTHS_SHOWN = 1.7
"""Side of the square that is shown, in widths of the face's box."""


def comparison(output: Path, sample: SampleTruth, frame_index: int) -> Image.Image:
    """Draws one row a face: the sample bicubically enlarged, the output, the reference.

    Args:
        output: What the program made of the sample, at any scale.
        sample: Which sample it was.
        frame_index: The frame to show, from 0.

    Returns:
        RGB, three columns of `CELL_PX`.
    """
    pictures = [_picture(path, frame_index) for path in (sample.source, output, sample.reference)]
    faces = sample.entry["frames"][frame_index]["faces"]
    sheet = Image.new("RGB", (3 * CELL_PX, HEADER_PX + len(faces) * CELL_PX), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(("source, bicubic", "restored", "reference")):
        at = (column * CELL_PX + CELL_PX / 2, HEADER_PX / 2)
        draw.text(at, title, (230, 230, 230), font=ImageFont.load_default(14), anchor="mm")
    for row, face in enumerate(faces):
        box_px = np.asarray(face["box_xyxy_px"], np.float64)
        for column, picture in enumerate(pictures):
            scale = picture.width / sample.entry["width_px"]
            cell = _crop(picture, box_px * scale)
            sheet.paste(cell, (column * CELL_PX, HEADER_PX + row * CELL_PX))
    return sheet


def _picture(path: Path, frame_index: int) -> Image.Image:
    with av.open(path) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == frame_index:
                return frame.to_image()
    raise ValueError(f"{path} has no frame {frame_index}")


def _crop(
    picture: Image.Image, box_px: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Image.Image:
    half_px = (box_px[2] - box_px[0]) * FACE_WIDTHS_SHOWN / 2
    x, y = (box_px[:2] + box_px[2:]) / 2
    # A face at the border is shown off centre rather than with an empty margin.
    x = min(max(x, half_px), picture.width - half_px)
    y = min(max(y, half_px), picture.height - half_px)
    box = (x - half_px, y - half_px, x + half_px, y + half_px)
    return picture.resize((CELL_PX, CELL_PX), Image.Resampling.BICUBIC, box=box)


def main() -> None:
    """Reads the command line and writes the picture."""
    parser = argparse.ArgumentParser(description="Before/after picture of a sample's faces.")
    parser.add_argument("sample", choices=("street", "portrait"))
    parser.add_argument("output", type=Path, help="what the program made of it")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--frame", type=int, default=30, help="frame to show, from 0")
    arguments = parser.parse_args()
    sheet = comparison(arguments.output, SampleTruth(arguments.sample), arguments.frame)
    sheet.save(arguments.picture)


if __name__ == "__main__":
    main()
