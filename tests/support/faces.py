"""Pictures with and without faces, and the small things a node test needs around them."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from aminet.network import AMINetConfig
from nodes.node import Segment
from nodes.picture.layout import pixel_layout
from nodes.types import ColorTags, Face, Frame, VideoInfo
from tests.support import DATA

TIME_BASE = Fraction(1, 25)

TINY = AMINetConfig(width=8, depths=(1, 0, 0, 1), heads=(1, 2, 2, 2), stem_factor=4)
"""The smallest network that has all parts."""


@cache
def still(name: str) -> Image.Image:
    """Return a picture of tests/data."""
    with Image.open(DATA / name) as image:
        return image.convert("RGB")


def portrait(side_px: int, *, turn_deg: float = 0) -> Image.Image:
    """Return the one-face still at another size, turned clockwise about its middle."""
    image = still("face_woman.jpg").resize((side_px, side_px), Image.Resampling.LANCZOS)
    return image.rotate(-turn_deg, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))


def scene(width_px: int, height_px: int, *pasted: tuple[Image.Image, int, int]) -> Image.Image:
    """Return a dull picture with others pasted in, each at x, y."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    wave = 110 + 30 * np.sin(x / 47) + 25 * np.cos(y / 31)
    image = Image.fromarray(np.stack([wave, wave * 0.9, wave * 0.8], axis=2).astype(np.uint8))
    for other, left, top in pasted:
        image.paste(other, (left, top))
    return image


def frame_of(image: Image.Image, index: int = 0, pix_fmt: str = "yuv420p") -> Frame:
    """Wrap a picture as the frame at `index` of a 25 fps video."""
    rgb = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
    picture = rgb.reformat(format=pix_fmt)
    picture.pts, picture.time_base = index, TIME_BASE
    return Frame(index, index, 1, picture)


def info_of(frame: Frame, *, rotation_deg: int = 0, color: ColorTags | None = None) -> VideoInfo:
    """Describe the video that `frame` is from."""
    picture = frame.picture
    return VideoInfo(
        width_px=picture.width,
        height_px=picture.height,
        pix_fmt=picture.format.name,
        time_base=TIME_BASE,
        average_rate=Fraction(25),
        sample_aspect_ratio=Fraction(1),
        rotation_deg=rotation_deg,
        color=color or ColorTags(),
        codec_name="h264",
        bit_depth=pixel_layout(picture.format.name).bit_depth,
    )


def segment_in(folder: Path) -> Segment:
    """Return a segment whose sinks write to `folder`."""
    return Segment("in.mp4", folder, 1)


def face_at(x_px: float, y_px: float, eyes_px: float, **changes: Any) -> Face:
    """Return an upright frontal face whose eyes' middle is at (x, y)."""
    half = eyes_px / 2
    points = [(-half, 0), (half, 0), (0, 0.6 * eyes_px), (0, 1.11 * eyes_px)]
    values: dict[str, Any] = {
        "track_id": 1,
        "box_xyxy_px": (
            x_px - 1.2 * eyes_px,
            y_px - eyes_px,
            x_px + 1.2 * eyes_px,
            y_px + 1.4 * eyes_px,
        ),
        "points_px": np.array(points, np.float32) + np.array([x_px, y_px], np.float32),
        "score": 0.95,
        "confirmed": True,
    }
    return Face(**(values | changes))


def waves(width_px: int, height_px: int, pix_fmt: str, *, seed: int = 0) -> av.VideoFrame:
    """Return a smooth picture made straight in a format's own samples, mid-range."""
    layout = pixel_layout(pix_fmt)
    picture = av.VideoFrame(width_px, height_px, pix_fmt)
    for index, plane in enumerate(planes_of(picture)):
        rows, columns = plane.shape[:2]
        y, x = np.mgrid[0:rows, 0:columns]
        depth = 0.08 if index else 0.2  # within what RGB can hold
        wave = 0.5 + depth * np.sin(5 * x / columns + index + seed) * np.cos(4 * y / rows)
        codes = np.rint(wave * ((1 << layout.bit_depth) - 1)).astype(plane.dtype) << layout.shift
        plane[:] = codes if plane.ndim == 2 else np.stack([codes, codes[::-1]], axis=2)
    return picture


def planes_of(picture: av.VideoFrame) -> list[npt.NDArray[Any]]:
    """Return writable views of a picture's planes, (H, W) or (H, W, 2), without padding."""
    layout = pixel_layout(picture.format.name)
    views: list[npt.NDArray[Any]] = []
    for index, plane in enumerate(picture.planes):
        buffer: Any = plane
        rows = np.frombuffer(buffer, layout.dtype).reshape(plane.height, -1)
        pair = index > 0 and layout.chroma in ("uv", "vu")
        width = plane.width * (2 if pair else 1)
        view = rows[:, :width]
        views.append(view.reshape(plane.height, plane.width, 2) if pair else view)
    return views


def codes_of(picture: av.VideoFrame) -> list[npt.NDArray[Any]]:
    """Copy a picture's planes."""
    return [plane.copy() for plane in planes_of(picture)]


def paint_face(seed: int, side: int = 128) -> Image.Image:
    """Not a face, but smooth shapes with edges: enough to learn something from."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    picture = np.empty((side, side, 3))
    for c in range(3):
        a, b, p = rng.uniform(2, 9, 3)
        picture[..., c] = 0.5 + 0.3 * np.sin(a * x + b * y + p)
    for _ in range(6):
        cx, cy, r = *rng.uniform(0.2, 0.8, 2), rng.uniform(0.04, 0.15)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = rng.uniform(0, 1, 3)
    return Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))


def paint_folder(folder: Path, seeds: range, side: int = 128) -> Path:
    folder.mkdir(parents=True)
    for seed in seeds:
        paint_face(seed, side).save(folder / f"face{seed:03d}.png")
    return folder
