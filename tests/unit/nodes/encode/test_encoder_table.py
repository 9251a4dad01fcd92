"""The table of encoders: every field of a row does what it says, for a row that is new, too."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from nodes.encode.encoder_table import ENCODERS, Encoder, containers_of
from nodes.encode.encoders import EncodeConfig, plan_encoder
from nodes.errors import NodeConfigError, UnsupportedFormatError
from nodes.media.hdr import HdrWords
from nodes.types import ColorTags, Frame, HdrFacts, VideoInfo
from tests.support.media import make_picture
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
    add(monkeypatch, Encoder("snow", 7, "fast", "q", "speed", options={"b": "0", "x": "1"}))
    assert options() == {"q": "7", "speed": "fast", "b": "0", "x": "1"}
    assert options(crf=3, preset="slow") == {"q": "3", "speed": "slow", "b": "0", "x": "1"}
    assert options(bitrate_bps=10**6) == {"speed": "fast", "x": "1"}
    assert options(options={"q": "9"})["q"] == "9"


def test_a_profile_is_chosen_by_chroma_and_given_up_for_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(monkeypatch, Encoder("dnxhd", profiles={"422": "hq", "444": "best"}))
    assert options(replace(INFO, pix_fmt="yuv422p")) == {"profile": "hq"}
    assert options(replace(INFO, pix_fmt="yuv444p10le")) == {"profile": "best"}
    assert options(replace(INFO, pix_fmt="yuv422p"), options={"profile": "lb"}) == {"profile": "lb"}


def test_what_it_is_told_in_words_comes_before_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Encoder("snow", words_option="snow-params", thread_words="n={}".format)
    add(monkeypatch, row)
    mine = {"snow-params": "mine=1"}
    assert options() == {"snow-params": "n=3"}
    assert options(options=mine) == {"snow-params": "n=3:mine=1"}
    add(monkeypatch, replace(row, hdr_words=HdrWords("show", "light", first="hdr=1")))
    told = f"hdr=1:show={STEPS}:n=3:mine=1"
    assert options(replace(INFO, hdr=HDR), options=mine) == {"snow-params": told}
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
