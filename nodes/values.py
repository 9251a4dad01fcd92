"""What packets are made of: boxes, RGB pictures, and what code values mean as colours."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "ColorTags", "FileName", "PictureForm", "RgbImage"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels: `xyxy_px`, half open."""

RgbImage = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""RGB, shape (height, width, 3); uint8 for 8-bit video, else uint16 in the range of `bit_depth`."""

FileName = Annotated[str, "file name"]
"""A setting that is the name or URL of a file, or one word for something that ships. Relative names
count from the graph or run file that says them, as do settings of the type `Path`."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """Colour description of a stream, in libav's numbers (ITU-T H.273); 2 is unspecified."""

    matrix: int = 2
    """AVCOL_SPC_*: 1 BT.709, 5 and 6 BT.601, 9 BT.2020."""
    range: int = 0
    """AVCOL_RANGE_*: 0 unspecified, 1 limited (16-235), 2 full."""
    primaries: int = 2
    """AVCOL_PRI_*."""
    transfer: int = 2
    """AVCOL_TRC_*."""
    chroma: int = 0
    """AVCHROMA_LOC_*, the siting of subsampled chroma: 1 left, 2 centre, 3 top left, 4 top,
    5 bottom left, 6 bottom; 0 unspecified."""


@dataclass(frozen=True, slots=True)
class PictureForm:
    """What may change between the pictures of one stream."""

    width_px: int
    height_px: int
    pix_fmt: str
    """libav's name of the decoder's pixel format."""
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation_deg: int = 0
    """Clockwise rotation that a player applies: 0, 90, 180 or 270."""

    def __str__(self) -> str:
        pixels = self.sample_aspect_ratio
        shape = "" if pixels == 1 else f" (pixels {pixels.numerator}:{pixels.denominator})"
        turn = f" (turned by {self.rotation_deg} degrees)" if self.rotation_deg else ""
        return f"{self.width_px}x{self.height_px} {self.pix_fmt}{shape}{turn}"
