"""The headers of VP9's frames say which size they have, where it is another one."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from nodes.picture.vp9_sizes import given_sizes
from tests.support.media import Video, make_video


def frame(*fields: tuple[int, int]) -> bytes:
    """Return a frame of fields (value, bits), with data behind them."""
    text = "".join(f"{value:0{bits}b}" for value, bits in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big") + b"\x55\x55\x55"


def inter(profile: int, found: tuple[int, ...], *size: tuple[int, int], strict: int = 0) -> bytes:
    """Return a frame that refers to others; `strict` is its error_resilient_mode."""
    low_high = [(profile & 1, 1), (profile >> 1, 1), *[(0, 1)] * (profile == 3)]
    kind = [(0, 1), (1, 1), (1, 1), (strict, 1), *[(0, 2)] * (not strict)]
    references = [(1, 8), *[(1, 3), (0, 1)] * 3, *[(bit, 1) for bit in found]]
    return frame((2, 2), *low_high, *kind, *references, *size)


def intra_only(profile: int, color: tuple[tuple[int, int], ...]) -> bytes:
    low_high = [(profile & 1, 1), (profile >> 1, 1), *[(0, 1)] * (profile == 3)]
    kind = [(0, 1), (1, 1), (0, 1), (0, 1), (1, 1), (0, 2)]
    return frame((2, 2), *low_high, *kind, (0x498342, 24), *color, (1, 8), *SIZE)


SIZE = ((319, 16), (179, 16))


@pytest.mark.parametrize("profile", [0, 1, 2, 3])
@pytest.mark.parametrize("strict", [0, 1])
def test_the_size_of_a_frame_is_its_own_or_that_of_another(profile: int, strict: int) -> None:
    assert list(given_sizes(inter(profile, (0, 0, 0), *SIZE, strict=strict))) == [(320, 180)]
    for found in ((1,), (0, 1), (0, 0, 1)):
        assert list(given_sizes(inter(profile, found, *SIZE, strict=strict))) == []


@pytest.mark.parametrize(
    ("profile", "color"),
    [
        (0, ()),
        (1, ((2, 3), (0, 1), (0, 3))),
        (1, ((7, 3), (0, 1))),
        (2, ((1, 1), (2, 3), (0, 1))),
        (3, ((0, 1), (2, 3), (0, 1), (0, 3))),
        (3, ((0, 1), (7, 3), (0, 1))),
    ],
)
def test_a_frame_that_refers_to_none_has_its_own_size(
    profile: int, color: tuple[tuple[int, int], ...]
) -> None:
    assert list(given_sizes(intra_only(profile, color))) == [(320, 180)]


def test_all_frames_of_a_superframe_are_looked_at() -> None:
    frames = [inter(0, (0, 0, 0), (99, 16), (49, 16)), inter(0, (1,)), inter(0, (0, 0, 0), *SIZE)]
    marker = bytes([0b110_00_000 | len(frames) - 1])
    index = marker + bytes(map(len, frames)) + marker
    assert list(given_sizes(b"".join(frames) + index)) == [(100, 50), (320, 180)]


def test_what_is_cut_off_or_shown_again_has_none() -> None:
    whole = inter(0, (0, 0, 0), *SIZE)
    for length in range(1, 8):
        assert list(given_sizes(whole[:length])) == []
    assert list(given_sizes(frame((2, 2), (0, 2), (1, 1), (3, 3)))) == []


def test_an_encoders_frames_of_one_size_have_none(tmp_path: Path) -> None:
    options = {"lag-in-frames": "10", "auto-alt-ref": "1"}
    path = make_video(tmp_path / "v.webm", Video("libvpx-vp9", frames=30, options=options))
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert len(packets) == 30
    assert [size for packet in packets for size in given_sizes(packet)] == []
