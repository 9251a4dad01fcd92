"""How good the faces of a restored video are: steadiness, agreement with the source, PSNR.

Everything is measured on luma as the files store it (8 bits, 16 to 235; peak 255), inside the
ellipse of each face's box. Where the faces are comes from a truth file or from following them in
the *source*, never from what was restored.

- **Flicker**: change from frame to frame over the source's, after the face's own motion is taken
  out (found in the source's pixels). Below half a level the source counts as changing by that: what
  stands still in it must not be divided by nothing. A face that speaks or blinks changes more the
  sharper it is: the reference's own flicker, by the same measure, says how much of it is life.
- **Consistency**: the restored face averaged back to the source's pixels, against them.
- **PSNR** against a reference, and the same for the source merely enlarged, as `paste` does it.

A reference of another size is compared at the smaller of the two sizes, reached by area averaging.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter
from PIL import Image
from scipy import ndimage

from nodes.errors import MediaError
from nodes.geometry.alignment import Matrix, compose, crop_from_frame, invert, scaling, translation
from nodes.geometry.registration import register, warped
from nodes.paste import UPSCALE
from pipeline.quality.faces import SeenFace
from pipeline.quality.part import find_part, pictures_of
from pipeline.quality.report import TrackQuality, VideoQuality

__all__ = ["measure_video"]

TIME_TOLERANCE_S: Final = 0.001
"""Matroska counts milliseconds."""
STILL_LEVELS: Final = 0.5
_SIZE_PX: Final = 128
_MARGIN_PX: Final = 8

Luma = npt.NDArray[np.float32]
"""Shape (height, width), 16 to 235."""
Real = npt.NDArray[np.float64]
Window = tuple[slice, slice]
"""Rows, columns."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One frame of all videos."""

    source: Luma
    restored: Luma
    enlarged: Luma
    """The source, as large as `restored`."""
    reduced: Luma
    """`restored`, as large as the source."""
    compared: tuple[Luma, Luma, Luma] | None
    """Restored, enlarged and reference, equally large; None without a reference."""

    @classmethod
    def of(
        cls, source: Luma, restored: Luma, enlarged: Luma, reference: Luma | None = None
    ) -> _Frame:
        compared = None
        if reference is not None:
            height, width = min(restored.shape, reference.shape)
            alike = [_shrunk(each, width, height) for each in (restored, enlarged, reference)]
            compared = alike[0], alike[1], alike[2]
        reduced = _shrunk(restored, source.shape[1], source.shape[0])
        return cls(source, restored, enlarged, reduced, compared)


@dataclass(slots=True)
class _Sums:
    eyes_px: list[float] = field(default_factory=list[float])
    changes: list[tuple[float, ...]] = field(default_factory=list[tuple[float, ...]])
    """Of the restored face, the source's and the reference's, in levels."""
    squares: Real = field(default_factory=lambda: np.zeros(3))
    """Squared errors of: reduced against source, restored and enlarged against reference."""
    likeness: float = 0.0
    source_pixels: int = 0
    pixels: int = 0
    before: tuple[int, SeenFace, _Frame] | None = None


def measure_video(
    source: Path,
    restored: Path,
    faces: Sequence[Sequence[SeenFace]],
    reference: Path | None = None,
) -> VideoQuality:
    """Compare a restored video with its source, and with what it should have become.

    Args:
        source: what was restored.
        restored: what came of it, at any scale; of a part of the source (`--from`, `--to`), that
            part is compared.
        faces: for each frame of the source, the faces in it.
        reference: the same pictures undamaged, at any size of the same shape.

    Raises:
        MediaError: frames are missing, added or moved in time, or a picture's shape differs.
    """
    sums: dict[str, _Sums] = {}
    part = find_part(source, restored)
    streams = [_frames(source, part), _frames(restored)]
    if reference is not None:
        streams.append(_frames(reference, find_part(reference, restored)))
    scaler = VideoReformatter()
    starts: list[float] | None = None
    try:
        for index, (pictures, seen) in enumerate(
            zip(zip(*streams, strict=True), faces[part], strict=True)
        ):
            times = [_time_s(picture) for picture in pictures]
            starts = starts or times
            _check_times(times, starts, restored)
            plain = _resized(scaler, pictures[0], pictures[1].width, pictures[1].height)
            frame = _Frame.of(
                *(_luma(picture) for picture in (*pictures[:2], plain, *pictures[2:]))
            )
            for face in seen:
                _add(sums.setdefault(face.name, _Sums()), index, face, frame)
    except ValueError as error:
        raise MediaError(f"{restored} cannot be compared with {source}: {error}") from error
    tracks = tuple(_quality(name, own) for name, own in sorted(sums.items()))
    return VideoQuality(str(source), str(restored), reference and str(reference), tracks)


def _add(own: _Sums, index: int, face: SeenFace, frame: _Frame) -> None:
    own.eyes_px.append(float(np.hypot(*(face.points_px[1] - face.points_px[0]))))
    window, inside = _ellipse(face, 1.0, frame.source.shape)
    own.squares[0] += ((frame.reduced - frame.source)[window][inside] ** 2).sum()
    own.source_pixels += int(inside.sum())
    if own.before is not None and own.before[0] == index - 1:
        own.changes.append(_change(own.before[1], own.before[2], face, frame))
    own.before = (index, face, frame)
    if frame.compared is None:
        return
    scale = frame.compared[2].shape[1] / frame.source.shape[1]
    window, inside = _ellipse(face, scale, frame.compared[2].shape)
    restored, enlarged, wanted = (each[window].astype(np.float64) for each in frame.compared)
    own.squares[1] += ((restored - wanted)[inside] ** 2).sum()
    own.squares[2] += ((enlarged - wanted)[inside] ** 2).sum()
    own.likeness += float(_ssim_map(restored, wanted)[inside].sum())
    own.pixels += int(inside.sum())


def _change(earlier: SeenFace, before: _Frame, face: SeenFace, frame: _Frame) -> tuple[float, ...]:
    """Return the mean change of the restored, enlarged and reference face, its motion taken out."""
    square = crop_from_frame(face.points_px, _SIZE_PX)
    guess = compose(invert(square), crop_from_frame(earlier.points_px, _SIZE_PX))
    (now_at, inside), (then_at, _) = (
        _ellipse(each, 1.0, frame.source.shape) for each in (face, earlier)
    )
    found = register(
        frame.source[now_at] / np.float32(255),
        before.source[then_at] / np.float32(255),
        _between(now_at, guess, then_at),
        inside.astype(np.float32),
    )
    now_from_then = compose(compose(_corner(now_at), found), invert(_corner(then_at)))
    pairs = [(frame.restored, before.restored), (frame.enlarged, before.enlarged)]
    if frame.compared is not None and before.compared is not None:
        pairs.append((frame.compared[2], before.compared[2]))
    width_px = frame.source.shape[1]
    return tuple(
        _mean_step(now, then, now.shape[1] / width_px, now_from_then, face, earlier)
        for now, then in pairs
    )


def _mean_step(
    now: Luma,
    then: Luma,
    scale: float,
    now_from_then: Matrix,
    face: SeenFace,
    earlier: SeenFace,
) -> float:
    """Return the mean change inside a face, of pictures `scale` times as large as the source."""
    large = compose(compose(scaling(scale), now_from_then), scaling(1 / scale))
    (now_at, inside), (then_at, _) = (_ellipse(each, scale, now.shape) for each in (face, earlier))
    on_grid = _between(now_at, large, then_at)
    step = np.abs(now[now_at] - warped(then[then_at], on_grid, inside.shape))[inside]
    seen = step[~np.isnan(step)]
    return float(seen.mean()) if seen.size else 0.0


def _corner(window: Window) -> Matrix:
    """Return the transform from a region's own coordinates to the picture's."""
    rows, columns = window
    return translation(columns.start, rows.start)


def _between(now_at: Window, now_from_then: Matrix, then_at: Window) -> Matrix:
    """Return a transform of whole pictures as one between regions of them."""
    return compose(compose(invert(_corner(now_at)), now_from_then), _corner(then_at))


def _quality(name: str, own: _Sums) -> TrackQuality:
    flicker = source_change = reference_flicker = None
    if own.changes:
        restored, source, *reference = (float(each) for each in np.mean(own.changes, axis=0))
        least, source_change = max(source, STILL_LEVELS), source
        flicker = restored / least
        reference_flicker = reference[0] / least if reference else None
    agrees, psnr, plain = (
        _psnr_db(squares, pixels)
        for squares, pixels in zip(
            own.squares, (own.source_pixels, own.pixels, own.pixels), strict=True
        )
    )
    known = own.pixels > 0
    return TrackQuality(
        name=name,
        frames=len(own.eyes_px),
        eye_distance_px=float(np.median(own.eyes_px)),
        flicker=flicker,
        source_change=source_change,
        consistency_db=agrees,
        psnr_db=psnr if known else None,
        ssim=own.likeness / own.pixels if known else None,
        enlarged_psnr_db=plain if known else None,
        reference_flicker=reference_flicker,
    )


def _psnr_db(squares: float, pixels: int) -> float:
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(255.0**2 * max(pixels, 1) / np.float64(squares)))


def _frames(path: Path, part: slice = slice(None)) -> Iterator[av.VideoFrame]:
    return islice(pictures_of(path), part.start, part.stop)


def _time_s(picture: av.VideoFrame) -> float:
    if picture.pts is None or picture.time_base is None:
        raise ValueError("a frame has no time")
    return float(picture.pts * picture.time_base)


def _check_times(times: Sequence[float], starts: Sequence[float], path: Path) -> None:
    # Containers that know no negative times move a whole file by the sound's priming.
    since = [time - start for time, start in zip(times, starts, strict=True)]
    if max(since) - min(since) > TIME_TOLERANCE_S:
        raise ValueError(f"{path.name} has a frame at {since[1]:.3f} s, expected {since[0]:.3f} s")


def _luma(picture: av.VideoFrame) -> Luma:
    return np.asarray(picture.to_ndarray(format="yuv420p")[: picture.height], np.float32)


def _resized(
    scaler: VideoReformatter, picture: av.VideoFrame, width_px: int, height_px: int
) -> av.VideoFrame:
    if picture.width * height_px != picture.height * width_px:
        raise ValueError(
            f"{width_px}x{height_px} is no enlargement of {picture.width}x{picture.height}"
        )
    return scaler.reformat(picture, width_px, height_px, "yuv420p", interpolation=UPSCALE)


def _shrunk(picture: Luma, width_px: int, height_px: int) -> Luma:
    if picture.shape == (height_px, width_px):
        return picture
    if picture.shape[0] * width_px != picture.shape[1] * height_px:
        raise ValueError(f"shape {picture.shape} does not become {(height_px, width_px)}")
    image = Image.fromarray(picture)
    return np.asarray(image.resize((width_px, height_px), Image.Resampling.BOX), np.float32)


def _ellipse(
    face: SeenFace, scale: float, shape: tuple[int, ...]
) -> tuple[Window, npt.NDArray[np.bool_]]:
    """Return the region around a face in a picture, and which of its pixels are the face."""
    box_px = scale * np.asarray(face.box_xyxy_px)
    low = np.maximum(np.floor(box_px[:2]).astype(int) - _MARGIN_PX, 0)
    high = np.ceil(box_px[2:]).astype(int) + _MARGIN_PX
    right, bottom = min(int(high[0]), shape[1]), min(int(high[1]), shape[0])
    centre, radius = (box_px[:2] + box_px[2:]) / 2, (box_px[2:] - box_px[:2]) / 2
    y, x = np.mgrid[low[1] : bottom, low[0] : right] + 0.5
    inside = np.hypot((x - centre[0]) / radius[0], (y - centre[1]) / radius[1]) <= 1
    return (slice(int(low[1]), bottom), slice(int(low[0]), right)), inside


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
