"""Adding what AMINet changes to a region of a frame, in the frame's own Y/Cb/Cr samples.

YUV is linear in RGB, so this needs no RGB round trip, and a sample whose residual is 0 keeps its
code value bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from nodes.picture.layout import (
    LUMA_WEIGHTS,
    PixelLayout,
    Region,
    Samples,
    Values,
    chroma_samples,
    chroma_siting,
    pixel_layout,
    region_samples,
    resolve_color,
)
from nodes.values import ColorTags

__all__ = ["add_rgb_residual"]


def add_rgb_residual(
    picture: av.VideoFrame,
    region_xyxy_px: Region,
    residual: npt.NDArray[np.floating],
    color: ColorTags,
) -> None:
    """Add an RGB residual to a region of `picture`, in place, in its own Y/Cb/Cr samples.

    Where the residual is 0 in a whole chroma block the samples stay as they are. Sums are
    rounded and kept in the legal range, unless the sample was already outside it: footroom and
    headroom of the source are no worse afterwards, and not cut either.

    Args:
        picture: changed in place: see `copy_picture`.
        region_xyxy_px: inside the picture, aligned to its chroma grid.
        residual: shape (height, width, 3) of the region, in units of full RGB scale.
        color: the stream's tags.
    """
    layout = pixel_layout(picture.format.name)
    matrix, full = resolve_color(color, layout, picture.height)
    weight_r, weight_b = LUMA_WEIGHTS[matrix]
    changed = _changed_part(residual, region_xyxy_px, layout)
    if changed is None:
        return
    region, (red, green, blue) = changed
    luma: Values = weight_r * red + (1 - weight_r - weight_b) * green + weight_b * blue
    touched = (red != 0) | (green != 0) | (blue != 0)
    unit, top = 1 << (layout.bit_depth - 8), (1 << layout.bit_depth) - 1
    legal = (0, top) if full else (16 * unit, 235 * unit)
    gain = top if full else 219 * unit
    _add(region_samples(picture, layout, 0, region), luma * gain, touched, legal, layout.shift)
    if layout.chroma == "none":
        return
    legal = (0, top) if full else (16 * unit, 240 * unit)
    gain = top if full else 224 * unit
    blocks = _subsampled(touched.astype(np.float32), layout, (0.5, 0.5)) > 0
    _, *siting = chroma_siting(color)
    changes = (
        (blue - luma) * (gain / (2 - 2 * weight_b)),
        (red - luma) * (gain / (2 - 2 * weight_r)),
    )
    for view, change in zip(chroma_samples(picture, layout, region), changes, strict=True):
        _add(view, _subsampled(change, layout, siting), blocks, legal, layout.shift)


def _changed_part(
    residual: npt.NDArray[np.floating], region: Region, layout: PixelLayout
) -> tuple[Region, Values] | None:
    """Return the part of a region with all of the residual, and that residual as (3, H, W)."""
    changes = residual != 0
    rows, columns = (np.flatnonzero(changes.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    if not rows.size:
        return None
    x0, y0, x1, y1 = region
    # One chroma sample more on each side: it is a mean of pixels that reach beyond its block.
    grown_x, grown_y = 1 << layout.log2_sub_x, 1 << layout.log2_sub_y
    left = max(0, columns[0] - grown_x) >> layout.log2_sub_x << layout.log2_sub_x
    above = max(0, rows[0] - grown_y) >> layout.log2_sub_y << layout.log2_sub_y
    right = min(x1 - x0, -(-(columns[-1] + 1 + grown_x) // grown_x) * grown_x)
    below = min(y1 - y0, -(-(rows[-1] + 1 + grown_y) // grown_y) * grown_y)
    part = residual[above:below, left:right].transpose(2, 0, 1)
    box = (x0 + int(left), y0 + int(above), x0 + int(right), y0 + int(below))
    return box, np.ascontiguousarray(part, np.float32)


def _add(
    samples: Samples,
    change: Values,
    touched: npt.NDArray[np.bool_],
    legal: tuple[int, int],
    shift: int,
) -> None:
    codes = (samples >> shift).astype(np.float32)
    low, high = np.minimum(codes, legal[0]), np.maximum(codes, legal[1])
    summed = np.clip(np.rint(codes + change), low, high).astype(samples.dtype) << shift
    np.copyto(samples, summed, where=touched)


def _subsampled(values: Values, layout: PixelLayout, siting: Sequence[float]) -> Values:
    """Reduce (H, W) to the chroma grid; the last block is completed by repetition.

    Args:
        values: of luma pixels.
        layout: its chroma grid.
        siting: where chroma lies in its block, right and down; see `chroma_siting`.
    """
    columns = _reduced(values.T, 1 << layout.log2_sub_x, siting[0]).T
    return _reduced(columns, 1 << layout.log2_sub_y, siting[1])


def _reduced(values: Values, step: int, siting: float) -> Values:
    """Return every `step`-th row's surroundings.

    Chroma between the rows is the mean of its block. On a row it is that one with its neighbours,
    weighted by their distance up to `step`, such as [1 2 1] / 4.
    """
    if step == 1:
        return values
    count = -(-len(values) // step)
    centre = round(siting * (step - 1))
    if siting == 0.5:
        weights = dict.fromkeys(range(step), 1)
    else:
        weights = {centre + near: step - abs(near) for near in range(1 - step, step)}
    before, after = -min(weights), max(weights) + (count - 1) * step + 1 - len(values)
    padded = np.pad(values, ((max(0, before), max(0, after)), (0, 0)), mode="edge")
    parts = [
        padded[before + offset :: step][:count] * np.float32(weight)
        for offset, weight in weights.items()
    ]
    return np.add.reduce(parts) / np.float32(sum(weights.values()))
