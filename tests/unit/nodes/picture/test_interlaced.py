"""Interlaced pictures: kept, or made whole; enlarged without mixing lines of different times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from nodes.decode import Decode, DecodeConfig
from nodes.node import Inputs, Segment
from nodes.paste import Paste, PasteConfig
from nodes.picture.interlaced import deinterlaced
from nodes.types import Frame, FrameRestored, VideoInfo
from tests.support.media import Video, make_video, planes

TFF = Video(codec="mpeg2video", fields="tff", frames=7)


def luma(picture: av.VideoFrame) -> npt.NDArray[np.int32]:
    return planes(picture)[0].astype(np.int32)


def moving_edge(number: int) -> av.VideoFrame:
    """A bar that moves four pixels a field: the even lines show it earlier than the odd ones."""
    picture = av.VideoFrame(64, 48, "yuv420p")
    samples = np.full((48, picture.planes[0].line_size), 40, np.uint8)
    for parity in (0, 1):
        left = 8 * number + 4 * parity
        samples[parity::2, left : left + 12] = 200
    picture.planes[0].update(samples.tobytes())
    for plane in picture.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    picture.pts, picture.time_base = number * 3, Fraction(1, 75)
    return picture


def comb(picture: av.VideoFrame) -> int:
    """Count samples that stick out from both the line above and the one below."""
    lines = luma(picture)
    above, below = lines[1:-1] - lines[:-2], lines[1:-1] - lines[2:]
    return int(((above * below > 0) & (np.minimum(abs(above), abs(below)) > 60)).sum())


def test_whole_pictures_have_no_comb_and_keep_their_times() -> None:
    woven = [moving_edge(number) for number in range(5)]
    combs = [comb(picture) for picture in woven]
    whole = list(deinterlaced(iter(woven), top_field_first=True))
    assert [picture.pts for picture in whole] == [0, 3, 6, 9, 12]
    assert min(combs) > 300
    assert max(comb(picture) for picture in whole[1:-1]) < 40


def test_pictures_of_another_size_begin_afresh() -> None:
    def pictures() -> Iterator[av.VideoFrame]:
        for number in range(4):
            yield moving_edge(number) if number < 2 else moving_edge(number).reformat(32, 32)

    sizes = [(p.width, p.height) for p in deinterlaced(pictures(), top_field_first=True)]
    assert sizes == [(64, 48)] * 2 + [(32, 32)] * 2


@pytest.mark.parametrize("wanted", [False, True])
def test_decode_keeps_fields_unless_asked(tmp_path: Path, wanted: bool) -> None:
    source = make_video(tmp_path / "v.mpg", TFF)
    node = Decode(DecodeConfig(deinterlace=wanted))
    info = node.open(Segment(str(source), tmp_path, 1), {})
    frames = [outputs["frames"] for outputs in node.packets()]
    node.close()
    assert info.interlaced is not wanted
    assert node.report()["deinterlaced"] is wanted
    assert len({frame.pts for frame in frames}) == 7


def enlarged(info: VideoInfo, picture: av.VideoFrame, scale: int) -> av.VideoFrame:
    node = Paste(PasteConfig())
    faces = replace(info, patch_scale=scale)
    node.open(Segment("unused", Path(), 1), {"frames": info, "restored": faces})
    packets = {"frames": Frame(0, 0, 1, picture), "restored": FrameRestored(0)}
    frame = node.process(Inputs(packets))["frames"]
    node.close()
    assert isinstance(frame, Frame)
    return frame.picture


@pytest.mark.parametrize("height_px", [48, 46, 45])
@pytest.mark.parametrize("scale", [2, 3])
def test_enlarging_mixes_no_lines_of_different_times(
    tmp_path: Path, scale: int, height_px: int
) -> None:
    source = make_video(tmp_path / "v.mpg", TFF)
    node = Decode(DecodeConfig())
    info = node.open(Segment(str(source), tmp_path, 1), {})
    node.close()
    picture = av.VideoFrame(64, height_px, "yuv420p")
    for plane in picture.planes:
        lines = np.full((plane.height, plane.line_size), 60, np.uint8)
        lines[1::2] = 180
        plane.update(lines.tobytes())
    large = enlarged(info, picture, scale)
    assert (large.width, large.height) == (64 * scale, height_px * scale)
    for samples in planes(large):
        assert set(np.unique(samples[::2])) == {60}
        assert set(np.unique(samples[1::2])) == {180}
