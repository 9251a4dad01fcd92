"""The table of encoders: every field of a row does what it says, for a row that is new, too."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from pydantic import ValidationError

from nodes.encode import Encode
from nodes.encode.encoder_table import ENCODERS, Encoder, containers_of, libav_encoder
from nodes.encode.encoders import EncodeConfig, plan_encoder
from nodes.encode.writer import VIDEO_FILE
from nodes.errors import NodeConfigError, UnsupportedFormatError
from nodes.media.hdr import HdrWords
from nodes.node import Inputs, Segment
from nodes.picture.digest import picture_sha256
from nodes.types import ColorTags, Frame, HdrFacts, VideoInfo
from tests.support.media import decode_all, make_picture
from tests.support.video_nodes import encode

INFO = VideoInfo(
    width_px=64,
    height_px=48,
    pix_fmt="yuv420p",
    time_base=Fraction(1, 25),
    average_rate=Fraction(25),
    sample_aspect_ratio=Fraction(1),
    rotation_deg=0,
    color=ColorTags(),
    codec_name="magicyuv",
    bit_depth=8,
)
HDR = HdrFacts(display=(Fraction(1, 5),) * 8 + (Fraction(1, 100), Fraction(1000)), light_cd_m2=None)
STEPS = "G(10000,10000)B(10000,10000)R(10000,10000)WP(10000,10000)L(10000000,100)"


def add(monkeypatch: pytest.MonkeyPatch, row: Encoder) -> None:
    monkeypatch.setitem(ENCODERS, "new", row)


def options(info: VideoInfo = INFO, threads: int = 3, **config: object) -> dict[str, str]:
    choice = EncodeConfig.model_validate({"codec": "new", **config})
    return dict(plan_encoder(choice, info, threads).options)


@pytest.mark.parametrize("key", ENCODERS)
def test_a_row_is_whole(key: str) -> None:
    row = ENCODERS[key]
    assert set(row.successors) <= set(ENCODERS)
    assert row.containers
    assert row.max_bits is None or row.successors
    assert bool(row.words_option) == (row.thread_words is not None or row.hdr_words is not None)


def test_quality_and_speed_have_the_encoders_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, Encoder("snow", 7, "fast", "quality", "speed", options={"b": "0", "x": "1"}))
    assert options() == {"quality": "7", "speed": "fast", "b": "0", "x": "1"}
    assert options(crf=3, preset="slow") == {"quality": "3", "speed": "slow", "b": "0", "x": "1"}
    assert options(bitrate_bps=10**6) == {"speed": "fast", "x": "1"}
    assert options(options={"quality": "9"})["quality"] == "9"


def test_a_profile_is_chosen_by_chroma_and_given_up_for_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(monkeypatch, Encoder("dnxhd", profiles={"422": "hq", "444": "best"}))
    assert options(replace(INFO, pix_fmt="yuv422p")) == {"profile": "hq"}
    assert options(replace(INFO, pix_fmt="yuv444p10le")) == {"profile": "best"}
    assert options(replace(INFO, pix_fmt="yuv422p"), options={"profile": "lb"}) == {"profile": "lb"}


def test_what_it_is_told_in_words_comes_before_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Encoder("snow", words_option="x264-params", thread_words="n={}".format)
    add(monkeypatch, row)
    mine = {"x264-params": "keyint=9"}
    assert options() == {"x264-params": "n=3"}
    assert options(options=mine) == {"x264-params": "n=3:keyint=9"}
    add(monkeypatch, replace(row, hdr_words=HdrWords("show", "light", first="hdr=1")))
    told = f"hdr=1:show={STEPS}:n=3:keyint=9"
    assert options(replace(INFO, hdr=HDR), options=mine) == {"x264-params": told}
    add(monkeypatch, replace(row, thread_words=None))
    assert options(replace(INFO, hdr=HDR)) == {}


def test_more_bits_than_it_has_go_to_its_first_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, Encoder("h264_nvenc", max_bits=8, successors=("x265", "ffv1")))
    deep = replace(INFO, pix_fmt="yuv420p10le")
    plans = [plan_encoder(EncodeConfig(codec="new"), info, 1) for info in (INFO, deep)]
    assert [plan.encoder for plan in plans] == ["h264_nvenc", "libx265"]


def test_chroma_that_it_does_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = replace(INFO, width_px=65)
    add(monkeypatch, Encoder("snow"))
    assert options(odd) == {}
    add(monkeypatch, Encoder("snow", whole_chroma=True))
    with pytest.raises(UnsupportedFormatError, match="snow cannot code 65x48"):
        options(odd)


def test_a_source_is_continued_or_goes_to_a_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Encoder("magicyuv", continues=frozenset({"magicyuv"}), successors=("x265", "ffv1"))
    add(monkeypatch, row)
    deep = replace(INFO, pix_fmt="yuv420p12le")
    plans = [plan_encoder(EncodeConfig(), info, 1) for info in (INFO, deep)]
    assert [plan.encoder for plan in plans] == ["magicyuv", "libx265"]


def test_its_containers_hold_its_codec_whichever_encoder_made_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert containers_of("magicyuv") == frozenset()
    add(monkeypatch, Encoder("magicyuv", containers=frozenset({"mov"})))
    assert containers_of("magicyuv") == {"mov"}
    add(monkeypatch, Encoder("h264_nvenc", containers=frozenset({"flv"})))
    assert containers_of("h264") == ENCODERS["x264"].containers | {"flv"}
    add(monkeypatch, Encoder("not_in_this_build", containers=frozenset({"mov"})))
    assert containers_of("magicyuv") == frozenset()


def test_its_variables_are_set_unless_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMINET_TEST_A", "mine")
    monkeypatch.delenv("AMINET_TEST_B", raising=False)
    names = {"AMINET_TEST_A": "row", "AMINET_TEST_B": "row"}
    add(monkeypatch, Encoder("magicyuv", environment=names))
    encode(INFO, [], tmp_path / "work", EncodeConfig(codec="new"))
    found = {name: os.environ.pop(name) for name in names}
    assert found == {"AMINET_TEST_A": "mine", "AMINET_TEST_B": "row"}


def test_what_it_needs_is_told_when_it_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, Encoder("mpeg2video", needs="a coprocessor"))
    odd_rate = replace(INFO, time_base=Fraction(1, 12800))
    with pytest.raises(NodeConfigError, match="mpeg2video needs a coprocessor, and finds none"):
        encode(odd_rate, [], tmp_path / "work", EncodeConfig(codec="new"))


@pytest.mark.parametrize("interlaced", [False, True])
def test_interlaced_pictures_are_coded_as_such_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, interlaced: bool
) -> None:
    add(monkeypatch, Encoder("mpeg2video", interlaced=interlaced))
    info = replace(INFO, interlaced=True, top_field_first=False)
    frames = [Frame(n, n, 1, make_picture(n)) for n in range(3)]

    path, report = encode(info, frames, tmp_path / "work", EncodeConfig(codec="new"))

    said = "coded as fields" if interlaced else "kept in the pixels, coded as frames"
    assert report["fields"] == said
    with av.open(path) as container:
        assert next(container.decode(video=0)).interlaced_frame == interlaced


@pytest.mark.parametrize(("name", "key"), [("hevc", "x265"), ("libx265", "x265"), ("h264", "x264")])
def test_by_libavs_name_it_is_known_and_keeps_libavs_defaults(name: str, key: str) -> None:
    by_key = plan_encoder(EncodeConfig(codec=key), INFO, threads=3)
    by_name = plan_encoder(EncodeConfig(codec=name), INFO, threads=3)
    assert by_name.encoder == by_key.encoder
    assert by_name.facts.whole_chroma
    assert by_name.options == {
        option: value for option, value in by_key.options.items() if option.endswith("-params")
    }


def frames_of(info: VideoInfo, count: int = 12) -> list[Frame]:
    size = info.width_px, info.height_px
    return [Frame(n, n, 1, make_picture(n, *size, info.pix_fmt)) for n in range(count)]


LOSSLESS = [key for key, row in ENCODERS.items() if row.lossless is not None]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "yuv422p10le"])
@pytest.mark.parametrize("key", LOSSLESS)
def test_a_lossless_encoder_gives_back_what_it_got(tmp_path: Path, key: str, pix_fmt: str) -> None:
    held = [form.name for form in libav_encoder(ENCODERS[key].name).video_formats or ()]
    if pix_fmt not in held:
        pytest.skip(f"{key} cannot hold {pix_fmt} in this build of libav")
    info = replace(INFO, pix_fmt=pix_fmt)
    frames = frames_of(info)
    file, report = encode(info, frames, tmp_path, EncodeConfig(codec=key, lossless=True))
    assert report["lossless"] is True
    decoded = [picture_sha256(picture) for picture in decode_all(file)]
    assert decoded == [picture_sha256(frame.picture) for frame in frames]


def test_what_it_makes_without_loss_does_not_depend_on_threads(tmp_path: Path) -> None:
    info = replace(INFO, width_px=640, height_px=480)
    for key in LOSSLESS:
        made: list[bytes] = []
        for threads in (1, 4):
            node = Encode(EncodeConfig(codec=key, lossless=True))
            node.open(Segment("in", tmp_path, threads), {"frames": info})
            for frame in frames_of(info):
                node.process(Inputs({"frames": frame}))
            node.finish()
            node.close()
            made.append((tmp_path / VIDEO_FILE).read_bytes())
        assert made[0] == made[1], key


def test_lossless_keeps_the_family_where_it_can() -> None:
    choice = EncodeConfig(lossless=True)
    for codec, encoder in (
        ("h264", "libx264"),
        ("hevc", "libx265"),
        ("vp9", "libvpx-vp9"),
        ("av1", "libx265"),
        ("prores", "ffv1"),
        ("mjpeg", "libx264"),
    ):
        plan = plan_encoder(choice, replace(INFO, codec_name=codec), 1)
        assert (plan.encoder, plan.lossless) == (encoder, True)
        assert not {"crf", "cq"} & plan.options.keys()
    assert not plan_encoder(EncodeConfig(codec="x264"), INFO, 1).lossless
    assert plan_encoder(EncodeConfig(codec="ffv1"), INFO, 1).lossless


def test_lossless_is_told_beside_the_users_own_words() -> None:
    mine = {"x265-params": "aq-mode=2"}
    plan = plan_encoder(EncodeConfig(codec="x265", lossless=True, options=mine), INFO, 2)
    assert plan.options["x265-params"].endswith(":aq-mode=2:lossless=1")


def test_an_encoder_that_loses_something_is_refused() -> None:
    with pytest.raises(NodeConfigError, match="libsvtav1 is not known to lose nothing; expected"):
        plan_encoder(EncodeConfig(codec="av1", lossless=True), INFO, 1)
    for setting in ({"crf": 20}, {"bitrate_bps": 10**6}):
        with pytest.raises(ValidationError, match="lossless leaves crf and bitrate_bps no meaning"):
            EncodeConfig.model_validate({"lossless": True, **setting})
