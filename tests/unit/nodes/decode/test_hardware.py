"""A card's pictures become the software decoder's, sample by sample, or are not used.

No card is at hand: a stand-in decodes in software, and hands on pictures as a card would.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.codec.codec import Codec
from av.packet import Packet
from av.stream import Stream
from pydantic import ValidationError

from nodes.decode import DecodeConfig, hardware_reader
from nodes.decode.hardware import HardwareError, Rearranger, card_for
from nodes.decode.hardware_reader import HardwareReader
from nodes.media.lost_pictures import LostPictures
from nodes.media.reader import PictureReader
from nodes.picture.layout import plane_codes
from tests.support.cut_videos import VIDEOS
from tests.support.media import QUIET_X265, Video, corrupt_packets, make_video, planes, truncate
from tests.support.side_facts import captions_of, make_captioned
from tests.support.video_nodes import decode, same_pixels

Spoil = Callable[[int, av.VideoFrame], av.VideoFrame]

ON_CARD = {"yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le"}

EXACT = {
    "b_frames": Video(b_frames=2, frames=30, gop_frames=10),
    "hevc10": Video("libx265", "yuv420p10le", options={"x265-params": QUIET_X265}),
    "full_range": Video(color=(1, 2, 1, 1)),
    "vp9_full": Video("libvpx-vp9", color=(1, 2, 1, 1)),
    "fields": Video(fields="tff"),
    "odd": Video("libvpx-vp9", width_px=63, height_px=47),
}


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Spoil], None]:
    """Install the stand-in; its pictures are changed by the function that is given."""

    def install(spoil: Spoil) -> None:
        decoded: list[int] = []
        in_software = cast("Any", PictureReader)._decode

        def as_card(reader: PictureReader, packet: Packet[Stream] | None) -> list[av.VideoFrame]:
            made = in_software(reader, packet)
            if not isinstance(reader, HardwareReader) or reader.why_software is not None:
                return made
            decoded.extend(range(len(made)))
            first = len(decoded) - len(made)
            return [spoil(first + at, as_on_card(each)) for at, each in enumerate(made)]

        monkeypatch.setattr(PictureReader, "_decode", as_card)
        monkeypatch.setattr(hardware_reader, "card_for", lambda *_: "cuda")
        monkeypatch.setattr(hardware_reader, "HWAccel", lambda *_, **__: None)

    return install


def as_on_card(picture: av.VideoFrame) -> av.VideoFrame:
    pix_fmt = ON_CARD.get(picture.format.name)
    if pix_fmt is None:
        return picture
    tags = picture.colorspace, picture.color_range
    made = picture.reformat(
        format=pix_fmt,
        src_colorspace=1,
        dst_colorspace=1,
        src_color_range=2,
        dst_color_range=2,
    )
    made.colorspace, made.color_range = tags
    return made


def same(_: int, picture: av.VideoFrame) -> av.VideoFrame:
    return picture


@pytest.mark.parametrize("size_px", [(64, 48), (63, 47), (350, 350)])
@pytest.mark.parametrize("own", ["yuv420p", "yuvj420p", "yuv420p10le"])
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_every_sample_is_kept(size_px: tuple[int, int], own: str, color_range: int) -> None:
    expected = av.VideoFrame(*size_px, own)
    found = av.VideoFrame(*size_px, ON_CARD[own])
    bits, dtype = (10, np.uint16) if own.endswith("10le") else (8, np.uint8)
    rng = np.random.default_rng(1)
    for plane in found.planes:
        codes = rng.integers(0, 1 << bits, plane.buffer_size // np.dtype(dtype).itemsize)
        plane.update((codes << (6 if bits == 10 else 0)).astype(dtype).tobytes())
    expected.color_range = found.color_range = color_range
    luma, chroma = (plane_codes(plane, dtype) >> (6 if bits == 10 else 0) for plane in found.planes)
    width = (size_px[0] + 1) // 2
    made = [plane.view(dtype) for plane in planes(Rearranger(expected).rearranged(found))]
    assert np.array_equal(made[0], luma[:, : size_px[0]])
    assert np.array_equal(made[1], chroma[:, 0 : 2 * width : 2])
    assert np.array_equal(made[2], chroma[:, 1 : 2 * width : 2])


@pytest.mark.parametrize("name", EXACT)
def test_a_node_sees_what_it_sees_from_the_software_decoder(
    tmp_path: Path, name: str, card: Callable[[Spoil], None]
) -> None:
    path = make_video(tmp_path / "a.mkv", EXACT[name])
    info, expected, _ = decode(path)
    card(same)
    own_info, frames, report = decode(path, hardware="cuda")
    assert report["decoded_by"] == {"cuda": len(expected)}
    assert report["why_software"] is None
    assert own_info == info
    assert [f.pts for f in frames] == [f.pts for f in expected]
    pictures, known = [f.picture for f in frames], [f.picture for f in expected]
    assert same_pixels(pictures, known)
    for picture, other in zip(pictures, known, strict=True):
        assert picture.format.name == other.format.name
        assert picture.interlaced_frame == other.interlaced_frame
        assert picture.key_frame == other.key_frame
        assert picture.color_range == other.color_range
        assert picture.colorspace == other.colorspace


def test_captions_stay_with_their_pictures(tmp_path: Path, card: Callable[[Spoil], None]) -> None:
    path = make_captioned(tmp_path / "a.mkv", 8)
    expected = [frame.picture for frame in decode(path)[1]]
    card(same)
    frames = decode(path, hardware="cuda")[1]
    assert captions_of(expected) == captions_of([frame.picture for frame in frames]) != []


@pytest.mark.parametrize("name", ["closed.mp4", "open_gop.ts", "b_frames.mp4", "closed.ts"])
def test_a_segment_begins_and_ends_at_the_same_frames(
    tmp_path: Path, name: str, card: Callable[[Spoil], None]
) -> None:
    path = make_video(tmp_path / name, VIDEOS[name])
    whole = decode(path)[1]
    start, end = whole[17].pts, whole[31].pts
    expected = decode(path, start_pts=start, end_pts=end)[1]
    card(same)
    frames, report = decode(path, start_pts=start, end_pts=end, hardware="cuda")[1:]
    assert report["decoded_by"] == {"cuda": len(expected)}
    assert [f.pts for f in frames] == [f.pts for f in expected]
    assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("noise.mp4", lambda path: corrupt_packets(path, [23])),
        ("cut.ts", lambda path: truncate(path, 0.6)),
    ],
)
def test_damage_is_patched_and_told_by_the_software_decoder(
    tmp_path: Path, name: str, damage: Callable[[Path], Path], card: Callable[[Spoil], None]
) -> None:
    path = damage(make_video(tmp_path / name, Video(frames=40, gop_frames=10, b_frames=2)))
    expected, known = decode(path)[1:]
    card(same)
    frames, report = decode(path, hardware="cuda")[1:]
    assert known["damage"]["count"] > 0
    assert set(report["decoded_by"]) == {"cuda", "software"}
    assert report["damage"] == known["damage"]
    assert report["lost"] == known["lost"]
    assert [f.pts for f in frames] == [f.pts for f in expected]
    assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


def test_a_picture_that_only_the_card_loses_is_not_lost(
    tmp_path: Path, card: Callable[[Spoil], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", Video(frames=20))
    expected = decode(path)[1]
    card(same)
    show, shown = LostPictures.show, list[int | None]()

    def loses_one(lost: LostPictures, pts: int | None, *, of_fields: bool) -> Iterable[int]:
        shown.append(pts)
        return [0] if len(shown) == 12 else show(lost, pts, of_fields=of_fields)

    monkeypatch.setattr(LostPictures, "show", loses_one)
    frames, report = decode(path, hardware="cuda")[1:]
    assert report["why_software"] == "picture could not be decoded"
    assert report["damage"]["count"] == 0
    assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


@pytest.mark.parametrize("number", [0, 2, 19])
@pytest.mark.parametrize("start", [None, 12])
def test_where_a_card_fails_the_software_decoder_goes_on(
    tmp_path: Path, number: int, start: int | None, card: Callable[[Spoil], None]
) -> None:
    def fail(at: int, picture: av.VideoFrame) -> av.VideoFrame:
        if at >= number:
            raise HardwareError("the driver hung up")
        return picture

    path = make_video(tmp_path / "a.mp4", Video(frames=30, gop_frames=5, b_frames=1))
    start_pts = None if start is None else decode(path)[1][start].pts
    expected = decode(path, start_pts=start_pts)[1]
    card(fail)
    frames, report = decode(path, start_pts=start_pts, hardware="cuda")[1:]
    assert report["why_software"] == "the driver hung up"
    assert any("the driver hung up" in line for line in report["warnings"])
    assert [f.pts for f in frames] == [f.pts for f in expected]
    assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


@pytest.mark.parametrize("number", [0, 2])
def test_a_card_with_one_other_sample_is_not_used(
    tmp_path: Path, number: int, card: Callable[[Spoil], None]
) -> None:
    def off_by_one(at: int, picture: av.VideoFrame) -> av.VideoFrame:
        if at == number:
            plane_codes(picture.planes[1], np.uint8)[0, 10] ^= 1
        return picture

    path = make_video(tmp_path / "a.mp4")
    expected = decode(path)[1]
    card(off_by_one)
    frames, report = decode(path, hardware="cuda")[1:]
    assert "samples" in report["why_software"]
    assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv422p10le"])
def test_formats_that_a_card_does_not_keep_are_decoded_in_software(
    tmp_path: Path, pix_fmt: str, card: Callable[[Spoil], None]
) -> None:
    path = make_video(tmp_path / "a.mp4", Video(pix_fmt=pix_fmt))
    expected = decode(path)[1]
    card(same)
    frames, report = decode(path, hardware="cuda")[1:]
    assert report["decoded_by"] == {"software": len(expected)}
    assert pix_fmt in report["why_software"]
    assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


@pytest.mark.parametrize(
    ("kind", "codec", "reason"),
    [
        ("cuda", "h264", "no cuda device"),
        ("auto", "h264", "no cuda device"),
        ("cuda", "mpeg2video", "may differ in single samples"),
        ("auto", "mjpeg", "may differ in single samples"),
        ("d3d11va", "h264", "no decoder of h264"),
    ],
)
def test_without_a_device_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, kind: Any, codec: str, reason: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("nodes.decode.hardware.hwdevices_available", lambda: ["cuda", "qsv"])
    with pytest.raises(HardwareError, match=reason):
        card_for(kind, Codec(codec, "r"))


def test_a_machine_without_a_card_decodes_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = make_video(tmp_path / "a.mp4")
    expected = decode(path)[1]
    for kind in ("auto", "cuda", "off"):
        frames, report = decode(path, hardware=kind)[1:]
        assert report["decoded_by"] == {"software": len(expected)}
        assert (report["why_software"] is None) == (kind == "off")
        assert any("in software" in line for line in report["warnings"]) == (kind == "cuda")
        assert same_pixels([f.picture for f in frames], [f.picture for f in expected])


def test_a_closed_reader_lets_go_of_who_listens(tmp_path: Path) -> None:
    class Listener:
        def heard(self, what: str, pts: int | None) -> None: ...

    listener = Listener()
    reader = HardwareReader(str(make_video(tmp_path / "a.mp4")), 1, listener.heard, None, "auto")
    next(reader.pictures())
    reader.close()
    kept = weakref.ref(listener)
    del listener
    assert kept() is None


def test_where_a_seek_fails_the_software_decoder_goes_on(
    tmp_path: Path, card: Callable[[Spoil], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seek reads packets, to see where it came, and what cannot be read is damage."""
    path = make_video(tmp_path / "closed.mp4", VIDEOS["closed.mp4"])
    start = decode(path)[1][17].pts
    expected = decode(path, start_pts=start)[1]
    card(same)
    seek = PictureReader.seek

    def failing(reader: PictureReader, pts: int) -> None:
        if isinstance(reader, HardwareReader) and reader.why_software is None:
            cast("Any", reader)._note_damage("cannot read", None)
        seek(reader, pts)

    monkeypatch.setattr(PictureReader, "seek", failing)
    frames, report = decode(path, start_pts=start, hardware="cuda")[1:]
    assert report["why_software"] == "cannot read"
    assert [f.pts for f in frames] == [f.pts for f in expected]


def test_no_card_decodes_what_has_to_come_out_the_same_everywhere() -> None:
    with pytest.raises(ValidationError, match="expected off with --evidence"):
        DecodeConfig(exact=True, hardware="auto")
    assert DecodeConfig(exact=True).hardware == "off"
