"""Measures the faces of an output video against the sharp reference it should have become.

Where the faces are comes from `samples/truth.json`, never from the program under test, so a
tracker that loses a face is charged for it. Luma is BT.709 studio luma as the file stores it (8
bits, 16 to 235), the peak is 255.

An output of another size than the reference is compared at the smaller of the two sizes, reached
by area averaging: scale 1 against the reference's half, scale 3 and 4 shrunk to the reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

__all__ = ["FaceScore", "SampleTruth", "luma_frames", "measure_faces"]

SAMPLES = Path(__file__).parents[2] / "samples"
TIME_TOLERANCE_S = 0.001
"""Matroska counts milliseconds."""

Luma = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""Shape (height, width), 16 to 235; float once it has been averaged."""
Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FaceScore:
    """How near one person's face comes to the reference, over the whole video."""

    psnr_y_db: float
    """From the mean squared error over all pixels of the face in all frames."""
    ssim_y: float
    """Mean over the same pixels: Gaussian window of sigma 1.5 px."""
    frames: int


@dataclass(frozen=True)
class SampleTruth:
    """One sample: its files, and where its faces are."""

    name: str

    @cached_property
    def entry(self) -> dict[str, Any]:
        """What `truth.json` holds for this sample."""
        return json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))[self.name]

    @property
    def source(self) -> Path:
        """The degraded sample: what the program is given."""
        return SAMPLES / f"{self.name}.mp4"

    @property
    def reference(self) -> Path:
        """The same pictures before the damage, `reference_scale` times as large."""
        return SAMPLES / f"{self.name}_reference.mp4"

    @property
    def unseen_people(self) -> set[str]:
        """The people AMINet never saw in training."""
        return {who["name"] for who in self.entry["people"] if who["split"] == "val"}


def luma_frames(path: Path) -> Iterator[tuple[float, Luma]]:
    """Yields each frame's time in seconds and its luma, shape (height, width), 16 to 235."""
    with av.open(path) as container:
        for frame in container.decode(video=0):
            if frame.pts is None or frame.time_base is None:
                raise ValueError(f"{path}: a frame without a time")
            luma = frame.to_ndarray(format="yuv420p")[: frame.height]
            yield float(frame.pts * frame.time_base), np.asarray(luma, np.uint8)


def measure_faces(output: Path, sample: SampleTruth) -> dict[str, FaceScore]:
    """Compares the faces of `output` with the reference's.

    Args:
        output: What the program made of `sample.source`, at any scale.
        sample: Which sample it was.

    Returns:
        A score for each person, by name.

    Raises:
        ValueError: If frames are missing, added or moved against each other in time, or the
            picture's shape changed.
    """
    sums: dict[str, list[tuple[float, float, int]]] = {}
    start_s: float | None = None
    pairs = zip(
        luma_frames(output), luma_frames(sample.reference), sample.entry["frames"], strict=True
    )
    for (time_s, shown), (reference_time_s, wanted), truth in pairs:
        # Containers that know no negative times move a whole file by the sound's priming.
        start_s = time_s - reference_time_s if start_s is None else start_s
        if abs(time_s - start_s - reference_time_s) > TIME_TOLERANCE_S:
            raise ValueError(f"{output}: frame at {time_s} s, expected {reference_time_s} s")
        picture, reference = _same_size(shown, wanted)
        scale = picture.shape[1] / sample.entry["width_px"]
        for face in truth["faces"]:
            box_px = scale * np.asarray(face["box_xyxy_px"], np.float64)
            sums.setdefault(face["name"], []).append(_compare(picture, reference, box_px))
    return {name: _score(parts) for name, parts in sums.items()}


def _same_size(picture: Luma, reference: Luma) -> tuple[Luma, Luma]:
    height, width = min(picture.shape, reference.shape)
    if picture.shape[0] * reference.shape[1] != picture.shape[1] * reference.shape[0]:
        raise ValueError(f"shape {picture.shape} is no enlargement of {reference.shape}")
    return _shrunk(picture, width, height), _shrunk(reference, width, height)


def _shrunk(picture: Luma, width_px: int, height_px: int) -> Luma:
    if picture.shape == (height_px, width_px):
        return picture
    image = Image.fromarray(picture.astype(np.float32))
    return np.asarray(image.resize((width_px, height_px), Image.Resampling.BOX), np.float32)


def _compare(picture: Luma, reference: Luma, box_px: Real) -> tuple[float, float, int]:
    """Sums squared error and SSIM over the ellipse inside the face's box."""
    height, width = picture.shape
    margin_px = 8
    left, top = np.maximum(np.floor(box_px[:2]).astype(int) - margin_px, 0)
    right, bottom = np.ceil(box_px[2:]).astype(int) + margin_px
    region = np.s_[top : min(bottom, height), left : min(right, width)]
    a, b = (np.asarray(whole[region], np.float64) for whole in (picture, reference))
    centre, radius = (box_px[:2] + box_px[2:]) / 2, (box_px[2:] - box_px[:2]) / 2
    y, x = np.mgrid[0 : a.shape[0], 0 : a.shape[1]] + 0.5
    inside = np.hypot((x + left - centre[0]) / radius[0], (y + top - centre[1]) / radius[1]) <= 1
    squares = float(((a - b)[inside] ** 2).sum())
    return squares, float(_ssim_map(a, b)[inside].sum()), int(inside.sum())


def _ssim_map(a: Real, b: Real) -> Real:
    """Structural similarity around every pixel (Wang et al. 2004)."""

    def blurred(x: Real) -> Real:
        return np.asarray(ndimage.gaussian_filter(x, 1.5, truncate=3.5), np.float64)

    mean_a, mean_b = blurred(a), blurred(b)
    variances = blurred(a * a) + blurred(b * b) - mean_a**2 - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return likeness / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))


def _score(parts: list[tuple[float, float, int]]) -> FaceScore:
    squares, likeness, pixels = np.sum(np.asarray(parts, np.float64), axis=0)
    with np.errstate(divide="ignore"):
        psnr_y_db = 10 * np.log10(255.0**2 / (squares / pixels))
    return FaceScore(float(psnr_y_db), float(likeness / pixels), len(parts))
