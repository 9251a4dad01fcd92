"""Decoding the encoded segments to pictures, in RGB if the source was RGB.

Converting between RGB and Y'CbCr loses precision. If the source is RGB of the same size, the change
by the restoration is added to the source, so that other pixels are identical. Transparency is taken
from the source, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from nodes.media.open import open_media
from nodes.media.picture_files import is_numbered
from nodes.media.reader import PictureReader
from nodes.picture.formats import PictureConverter
from nodes.picture.layout import pixel_layout, plane_codes
from nodes.picture.regions import RegionReader
from nodes.types import RgbImage, VideoInfo
from pipeline.pictures.photo import Photo
from pipeline.pieces.timing import VideoTiming

__all__ = ["RestoredPicture", "restored_pictures"]

_STRIP_PX: Final = 256
"""Rows of a picture that are computed at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class RestoredPicture:
    """A picture, and its pts in ticks of the source."""

    photo: Photo
    pts: int
    duration_ticks: int
    source_format: str
    """Pixel format of the source's picture."""
    own_colors: bool
    """Whether pixels that the graph did not change have the colours of the source, although the
    graph had them in another pixel format."""


def restored_pictures(
    videos: Sequence[Path], source: str, info: VideoInfo, timing: VideoTiming
) -> Iterator[RestoredPicture]:
    """Yield the pictures of a video that was encoded without loss and reordering.

    Args:
        videos: the encoded segments, in order.
        source: path or URL of the source.
        info: the encoded video.
        timing: the times of its pictures.
    """
    reader, originals = RegionReader(info.color), _Originals(source, info)
    try:
        for number, frame in enumerate(_frames(videos)):
            frame.colorspace, frame.color_range = info.color.matrix, info.color.range
            pts = timing.shown[number]
            original = originals.at(pts)
            yield RestoredPicture(
                _photo(_samples(reader, frame), original, frame),
                pts,
                timing.duration(number),
                originals.pix_fmt,
                original is None or original.size_px == (frame.width, frame.height),
            )
    finally:
        originals.close()


def _photo(samples: RgbImage, original: _Original | None, frame: av.VideoFrame) -> Photo:
    if original is None:
        return Photo(samples, frame)
    return Photo(original.with_changes(samples), None)


def _frames(videos: Sequence[Path]) -> Iterator[av.VideoFrame]:
    for video in videos:
        with open_media(str(video)) as container:
            yield from container.decode(container.streams.video[0])


class _Originals:
    """The pictures of a source in RGB or with transparency."""

    def __init__(self, source: str, info: VideoInfo) -> None:
        self._info = info
        self.pix_fmt = info.pix_fmt
        """Pixel format of the picture that was read last."""
        self._reader = PictureReader(source, 1)
        self._pictures: Iterator[av.VideoFrame] | None = self._reader.pictures()
        self._may_differ = is_numbered(source)
        self._rgb = RegionReader(info.color)
        self._converter: PictureConverter | None = None

    def at(self, pts: int) -> _Original | None:
        """Return the source's picture at a pts; call it with increasing pts."""
        for picture in self._pictures or ():
            self.pix_fmt = picture.format.name
            needed = _has_more_than_planes(picture)
            if not needed and not self._may_differ:
                self._pictures = None
                return None
            if picture.pts == pts:
                return self._original(picture) if needed else None
        return None

    def _original(self, picture: av.VideoFrame) -> _Original:
        size_px, info = (picture.width, picture.height), self._info
        if self._converter is None:
            self._converter = PictureConverter(*size_px, info.pix_fmt, info.color)
        before = _samples(self._rgb, self._converter.convert(picture))
        rgba, pixel_format = _rgba(picture), picture.format
        # A palette may have transparent colours.
        top = np.iinfo(rgba.dtype).max
        has_alpha = (
            bool((rgba[..., 3] < top).any()) if pixel_format.has_palette else _has_alpha(picture)
        )
        return _Original(rgba, before, has_alpha)

    def close(self) -> None:
        self._reader.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Original:
    rgba: RgbImage
    before: RgbImage
    """The picture in the graph's pixel format."""
    has_alpha: bool

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.rgba.shape[1], self.rgba.shape[0]

    def with_changes(self, after: npt.NDArray[Any]) -> RgbImage:
        """Return RGB or RGBA with the changes of `after`; in its place if it has that form."""
        top = np.iinfo(self.rgba.dtype).max
        after, before = _with_channels(after), _with_channels(self.before)
        height_px, width_px = after.shape[:2]
        shape = (height_px, width_px, 4 if self.has_alpha else 3)
        fits = shape == after.shape and after.dtype == self.rgba.dtype
        made = after if fits else np.empty(shape, self.rgba.dtype)
        if after.shape[:2] != self.rgba.shape[:2]:
            made[..., :3] = after
            if self.has_alpha:
                made[..., 3] = _resized(self.rgba[..., 3], width_px, height_px)
            return cast("RgbImage", made)
        for rows in _strips(height_px):
            change = after[rows].astype(np.int32) - before[rows]
            made[rows, :, :3] = np.clip(self.rgba[rows, :, :3] + change, 0, top)
        if self.has_alpha:
            made[..., 3] = self.rgba[..., 3]
        return cast("RgbImage", made)


def _with_channels(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return samples with an axis of channels; gray ones have one."""
    return samples if samples.ndim == 3 else samples[..., None]


def _strips(height_px: int) -> Iterator[slice]:
    """Yield parts of a picture's rows: computing all of it at once would take gigabytes."""
    return (slice(top, top + _STRIP_PX) for top in range(0, height_px, _STRIP_PX))


def _has_more_than_planes(picture: av.VideoFrame) -> bool:
    pixel_format = picture.format
    return pixel_format.is_rgb or pixel_format.has_palette or _has_alpha(picture)


def _has_alpha(picture: av.VideoFrame) -> bool:
    return len(picture.format.components) in (2, 4)


def _rgba(picture: av.VideoFrame) -> RgbImage:
    """Return a picture as RGBA with 8 bits, or 16 if it is deeper."""
    deep = max(component.bits for component in picture.format.components) > 8
    rgba = picture.reformat(format="rgba64le" if deep else "rgba")
    (plane,) = rgba.planes
    wide = plane_codes(plane, np.uint16 if deep else np.uint8)[:, : 4 * rgba.width]
    return cast("RgbImage", wide.reshape(rgba.height, rgba.width, 4))


def _samples(reader: RegionReader, frame: av.VideoFrame) -> RgbImage:
    """Return a frame as gray or RGB with 8 bits, or 16 if it is deeper."""
    layout = pixel_layout(frame.format.name)
    rgb = reader.rgb(frame, (0, 0, frame.width, frame.height))
    if layout.bit_depth > 8:
        top = (1 << layout.bit_depth) - 1
        for rows in _strips(frame.height):
            rgb[rows] = (rgb[rows].astype(np.uint32) * 65535 + top // 2) // top
    if layout.chroma == "none":
        return cast("RgbImage", np.ascontiguousarray(rgb[..., 0]))
    return rgb


def _resized(
    alpha: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], width_px: int, height_px: int
) -> npt.NDArray[np.float32]:
    image = Image.fromarray(alpha.astype(np.float32))
    resized = np.asarray(image.resize((width_px, height_px), Image.Resampling.BILINEAR))
    return np.rint(resized)
