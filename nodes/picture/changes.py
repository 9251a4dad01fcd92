"""How far the samples of a picture were changed in a region."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np

from nodes.picture.layout import Region, Samples, pixel_layout, region_samples

__all__ = ["Change", "RegionBefore"]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the samples of a region, in levels of the video's bit depth."""

    area_px: int
    """Luma samples that are not as they were."""
    largest: int
    """The greatest change of a sample of any plane."""
    mean: float
    """Mean absolute change of the luma samples that are not as they were."""


class RegionBefore:
    """Keeps a region of a picture that is about to be changed."""

    def __init__(self, picture: av.VideoFrame, region: Region) -> None:
        """Copy the samples.

        Args:
            picture: any supported pixel format.
            region: inside the picture, aligned to its chroma grid.
        """
        self._picture, self._region = picture, region
        self._layout = pixel_layout(picture.format.name)
        self._before = [plane.copy() for plane in self._planes()]

    def change(self) -> Change:
        """Compare the samples with what the picture holds now."""
        shift = self._layout.shift
        steps = [
            np.abs((now >> shift).astype(np.int32) - (before >> shift).astype(np.int32))
            for now, before in zip(self._planes(), self._before, strict=True)
        ]
        area_px = int(np.count_nonzero(steps[0]))
        return Change(
            area_px=area_px,
            largest=max(int(step.max(initial=0)) for step in steps),
            mean=round(float(steps[0].sum()) / area_px, 3) if area_px else 0.0,
        )

    def _planes(self) -> list[Samples]:
        return [
            region_samples(self._picture, self._layout, index, self._region)
            for index in range(len(self._picture.planes))
        ]
