"""EXIF without its thumbnail: the small picture is gone, everything else stays in its place."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.pictures.exif import without_thumbnail
from tests.support.exif import HEADER, noise_jpeg, thumbnail_exif


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_is_gone_and_all_else_is_where_it_was(order: str, bare: bool) -> None:
    thumbnail = noise_jpeg(1)
    before = thumbnail_exif(order, thumbnail, bare=bare)
    after = without_thumbnail(before)

    assert len(after) == len(before)
    assert thumbnail[20:60] in before
    kept = {thumbnail[at : at + 8] in after for at in range(0, len(thumbnail) - 8, 8)}
    assert kept == {False}
    assert after.endswith(b"notes of the maker")
    facts = Image.Exif()
    facts.load(after)
    assert (facts[0x010F], facts[0x0112]) == ("Acme camera", 6)
    assert not facts.get_ifd(1)


def test_what_has_no_thumbnail_is_not_touched() -> None:
    plain = Image.Exif()
    plain[0x010F] = "Acme"
    for content in (plain.tobytes(), b"", HEADER, b"no EXIF at all", HEADER + b"II*\0"):
        assert without_thumbnail(content) == content


def test_damage_ends_nothing() -> None:
    whole = thumbnail_exif("<", noise_jpeg(2))
    rng = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(0, 120, 3):
            damaged[at] = rng.integers(0, 256)
        cut = bytes(damaged[: rng.integers(0, len(damaged))])
        assert len(without_thumbnail(cut)) == len(cut)
