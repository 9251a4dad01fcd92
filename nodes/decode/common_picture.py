"""One size and pixel format for a video whose pictures change theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Final

import av

from nodes.media.open import clockwise_rotation_deg
from nodes.picture.captions import Captions
from nodes.picture.filters import PictureFilter
from nodes.picture.formats import PictureConverter, bit_depth, common_format
from nodes.picture.interlaced import whole_fields
from nodes.picture.layout import pixel_layout
from nodes.types import PictureForm, VideoInfo

__all__ = ["PictureFitter", "common_info"]

_TURNS: Final = {90: "transpose=clock", 180: "hflip,vflip", 270: "transpose=cclock"}
"""libav's filters that turn a picture clockwise."""


def common_info(info: VideoInfo, first: PictureForm, forms: Sequence[PictureForm]) -> VideoInfo:
    """Return the video as it is with one size and pixel format for all of its pictures.

    Pictures keep their shape and at least their size: the frame is as wide as the widest and as
    high as the highest. Pixels have the shape of those of the largest picture.

    Args:
        info: the video by its first picture, in an editable pixel format.
        first: the form of the first picture.
        forms: of all pictures, from `FormScan`; none if they do not change.

    Raises:
        UnsupportedFormatError: no pixel format holds them all.
    """
    shapes = _upright(first, forms)
    if set(shapes) == {first}:
        return info
    pix_fmt = info.pix_fmt
    if any(form.pix_fmt != first.pix_fmt for form in forms):
        pix_fmt = common_format([pix_fmt, *(form.pix_fmt for form in forms)])
    ratio, own_ratio = _largest(shapes).sample_aspect_ratio, info.sample_aspect_ratio
    if any(form.sample_aspect_ratio != first.sample_aspect_ratio for form in shapes):
        # What a container without its own word on it says is that of any picture.
        own_ratio = first.sample_aspect_ratio
    widths = (form.width_px * form.sample_aspect_ratio / ratio for form in shapes)
    return replace(
        info,
        width_px=ceil(max(widths)),
        height_px=max(form.height_px for form in shapes),
        pix_fmt=pix_fmt,
        bit_depth=bit_depth(pix_fmt),
        sample_aspect_ratio=own_ratio * ratio / first.sample_aspect_ratio,
    )


class PictureFitter:
    """Makes pictures of one stream fit into one frame: turned, enlarged and padded with black.

    Use one for each thread and stream. Cannot be pickled.
    """

    def __init__(
        self, info: VideoInfo, first: PictureForm, forms: Sequence[PictureForm] = ()
    ) -> None:
        """Begin.

        Args:
            info: the frames to make, from `common_info`.
            first: the form of the first picture.
            forms: of all pictures; none if they do not change.
        """
        self._info, self._first = info, first
        self._frame_ratio = _largest(_upright(first, forms)).sample_aspect_ratio
        self._captions = Captions()
        self._converters: dict[tuple[int, int], PictureConverter] = {}
        self._rotation_deg = first.rotation_deg
        self._filters: dict[tuple[object, ...], PictureFilter] = {}

    def fit(self, picture: av.VideoFrame, sample_aspect_ratio: Fraction) -> av.VideoFrame:
        """Return a picture that fits; the same if it does.

        Args:
            picture: as it was decoded.
            sample_aspect_ratio: by its codec.
        """
        return self._captions.carried(picture, self._fitting(picture, sample_aspect_ratio))

    def _fitting(self, picture: av.VideoFrame, sample_aspect_ratio: Fraction) -> av.VideoFrame:
        info = self._info
        # Where the stream itself says it, only the picture does from which on it holds.
        rotation_deg = clockwise_rotation_deg(picture)
        if picture.key_frame or rotation_deg:
            self._rotation_deg = rotation_deg
        form = PictureForm(
            picture.width,
            picture.height,
            picture.format.name,
            sample_aspect_ratio,
            self._rotation_deg,
        )
        turn_deg = (form.rotation_deg - self._first.rotation_deg) % 360
        shape = _turned(form, self._first.rotation_deg)
        width_px, height_px = self._inner_px(shape)
        if turn_deg:
            picture = self._filtered(picture, _TURNS[turn_deg])
        size_px = (picture.width, picture.height)
        if picture.interlaced_frame and size_px != (width_px, height_px):
            picture = whole_fields(picture)
        picture = self._converter(width_px, height_px).convert(picture)
        if (width_px, height_px) == (info.width_px, info.height_px):
            return picture
        left, top = (
            (free // 2) >> shift << shift
            for free, shift in (
                (info.width_px - width_px, pixel_layout(info.pix_fmt).log2_sub_x),
                (info.height_px - height_px, pixel_layout(info.pix_fmt).log2_sub_y),
            )
        )
        return self._filtered(picture, f"pad={info.width_px}:{info.height_px}:{left}:{top}")

    def _inner_px(self, shape: PictureForm) -> tuple[int, int]:
        """Return the width and height of a picture within the frame."""
        info, layout = self._info, pixel_layout(self._info.pix_fmt)
        ratio = shape.sample_aspect_ratio / self._frame_ratio
        width, height = shape.width_px * ratio, Fraction(shape.height_px)
        scale = min(info.width_px / width, info.height_px / height)
        sides = (
            (width * scale, info.width_px, layout.log2_sub_x),
            (height * scale, info.height_px, layout.log2_sub_y),
        )
        # A border of a pixel or two would be the rounding of one shape, not another shape.
        width_px, height_px = (
            whole_px if whole_px - side < 2 << shift else _on_grid(side, shift)
            for side, whole_px, shift in sides
        )
        return width_px, height_px

    def _converter(self, width_px: int, height_px: int) -> PictureConverter:
        key, info = (width_px, height_px), self._info
        if key not in self._converters:
            self._converters[key] = PictureConverter(*key, info.pix_fmt, info.color)
        return self._converters[key]

    def _filtered(self, picture: av.VideoFrame, chain: str) -> av.VideoFrame:
        key = (picture.width, picture.height, picture.format.name, chain)
        if key not in self._filters:
            named = [part.partition("=") for part in chain.split(",")]
            self._filters[key] = PictureFilter(
                picture,
                picture.time_base or self._info.time_base,
                lambda graph: [graph.add(name, options or None) for name, _, options in named],
            )
        (made,) = self._filters[key].push(picture)
        return made


def _upright(first: PictureForm, forms: Sequence[PictureForm]) -> list[PictureForm]:
    """Return all forms, turned like the first picture.

    Forms from `FormScan` are by the codec alone: what the container says of the first picture is
    true of all.
    """
    found = [first]
    for form in forms:
        ratio = form.sample_aspect_ratio / forms[0].sample_aspect_ratio
        turn_deg = form.rotation_deg - forms[0].rotation_deg
        like_it = replace(
            form,
            sample_aspect_ratio=ratio * first.sample_aspect_ratio,
            rotation_deg=(turn_deg + first.rotation_deg) % 360,
        )
        found.append(_turned(like_it, first.rotation_deg))
    return found


def _largest(forms: Sequence[PictureForm]) -> PictureForm:
    return max(forms, key=lambda form: form.width_px * form.height_px)


def _turned(form: PictureForm, upright_deg: int) -> PictureForm:
    """Return a form as it is when turned like a picture with the rotation `upright_deg`."""
    if (form.rotation_deg - upright_deg) % 180 == 0:
        return replace(form, rotation_deg=upright_deg)
    return replace(
        form,
        rotation_deg=upright_deg,
        width_px=form.height_px,
        height_px=form.width_px,
        sample_aspect_ratio=1 / form.sample_aspect_ratio,
    )


def _on_grid(side: Fraction, shift: int) -> int:
    """Round up to whole pixels of subsampled planes."""
    return ceil(side / (1 << shift)) << shift
