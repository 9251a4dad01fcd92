"""What is said of pixels that become others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nodes.media.picture_formats import animation_format, photo_format
from pipeline.pictures.losses import conversion


@pytest.mark.parametrize("pix_fmt", ["bgra", "pal8"])
@pytest.mark.parametrize(("alpha", "words"), [(255, ""), (0, " with transparency")])
def test_transparency_of_a_palette_is_told_where_there_is_some(
    pix_fmt: str, alpha: int, words: str
) -> None:
    samples: Any = np.full((4, 4, 4), 255, np.uint8)
    samples[0, 0, 3] = alpha
    png, gif = photo_format("a.png"), animation_format("a.gif")
    assert png is not None
    assert gif is not None
    said = f"a palette{words} written as 8-bit colour{words}"
    assert conversion("a.gif", pix_fmt, samples, png) == said
    assert conversion("a.gif", pix_fmt, samples, gif) is None
