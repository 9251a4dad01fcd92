"""What pictures and streams carry beside samples is kept, or said to be lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline
from nodes.encode.encoders import EncodeConfig
from nodes.errors import MediaError, NodeConfigError
from nodes.picture.captions import Captions
from nodes.picture.regions import copy_picture
from tests.support.media import Video, decode_all, make_picture, make_video, planes
from tests.support.side_facts import captions_of, make_captioned, make_cropped, make_dolby_vision
from tests.support.video_nodes import decode, encode


@pytest.mark.parametrize("scale", [1, 2])
def test_captions_stay_in_pictures_that_are_changed(tmp_path: Path, scale: int) -> None:
    info, frames, _ = decode(make_captioned(tmp_path / "v.ts"))
    carrier = Captions()
    changed = [
        replace(
            frame,
            picture=carrier.carried(
                frame.picture,
                copy_picture(frame.picture)
                if scale == 1
                else make_picture(frame.index, 64 * scale, 48 * scale),
            ),
        )
        for frame in frames
    ]
    for frame in changed:
        expected = make_picture(frame.index, 64 * scale, 48 * scale)
        assert np.abs(planes(frame.picture)[0] - planes(expected)[0].astype(float)).mean() < 3
    large = replace(info, width_px=64 * scale, height_px=48 * scale)
    made, report = encode(large, changed, tmp_path / "work", EncodeConfig(codec="x264"))
    assert report["captions"] == 12
    assert captions_of(decode_all(made)) == captions_of([frame.picture for frame in frames])
    assert len(captions_of(decode_all(made))) == 12


def test_captions_that_an_encoder_cannot_hold_are_said_to_be_lost(tmp_path: Path) -> None:
    info, frames, _ = decode(make_captioned(tmp_path / "v.ts", 3))
    _, report = encode(info, frames, tmp_path / "work", EncodeConfig(codec="ffv1"))
    assert report["warnings"] == ["ffv1 cannot hold closed captions: left out; x264 and x265 can"]


def test_captions_go_through_the_whole_program(tmp_path: Path) -> None:
    source = make_captioned(tmp_path / "v.ts")
    pipeline.enhance(
        source, tmp_path / "out.ts", scale=2, runner="local", settings=("enhance.weights=bicubic",)
    )
    assert captions_of(decode_all(tmp_path / "out.ts")) == captions_of(decode_all(source))


def test_a_numbered_picture_for_print_is_refused_wherever_it_is(tmp_path: Path) -> None:
    for number, mode in enumerate(("RGB", "RGB", "CMYK")):
        Image.new(mode, (64, 48)).save(tmp_path / f"f_{number}.jpg")
    with pytest.raises(MediaError, match=r"f_2.jpg: is in CMYK, for print, whose colours only its"):
        decode(tmp_path / "f_%d.jpg")


def test_dolby_vision_without_colours_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="Dolby Vision profile 5, whose pictures have the right"):
        decode(make_dolby_vision(tmp_path / "v.mp4", 5, 0))


@pytest.mark.parametrize(("base", "name"), [(1, "HDR10"), (2, "SDR"), (4, "HLG")])
def test_dolby_vision_over_other_colours_becomes_these(
    tmp_path: Path, base: int, name: str
) -> None:
    _, frames, report = decode(make_dolby_vision(tmp_path / "v.mp4", 8, base))
    assert len(frames) == 12
    said = f"left out: Dolby Vision record (profile 8): what is left is {name} video"
    assert said in report["warnings"]


def test_lines_that_players_cut_off_are_cut_off(tmp_path: Path) -> None:
    source = make_cropped(tmp_path / "v.mkv", 8)
    info, frames, report = decode(source)
    assert (info.width_px, info.height_px) == (64, 40)
    whole = decode_all(source)
    for frame, picture in zip(frames, whole, strict=True):
        assert np.array_equal(planes(frame.picture)[0], planes(picture)[0][8:])
        assert np.array_equal(planes(frame.picture)[1], planes(picture)[1][4:])
    assert report["warnings"] == [
        "top 8, bottom 0, left 0, right 0 px cut off, as players do, in 12 frames"
    ]


def test_a_chosen_camera_is_restored_and_the_others_are_copied(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(cameras=2))
    settings = ("enhance.weights=bicubic", "encode.codec=ffv1")
    for number in (0, 1):
        target = tmp_path / f"out{number}.mkv"
        report = pipeline.enhance(source, target, video=number, runner="local", settings=settings)
        (video,) = report.videos
        assert [copied["source_index"] for copied in video.mux["copied"]] == [1 - number]
        other = f"video stream {1 - number} (h264) is a further one: copied, its faces are not"
        assert any(note.startswith(other) for note in video.notes)
        assert f"--video {1 - number}" in " ".join(video.notes)


def test_a_camera_that_is_not_there_is_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(cameras=2))
    with pytest.raises(NodeConfigError, match=r"no video stream 5 .* 0 \(h264\), 1 \(h264\)"):
        pipeline.enhance(source, tmp_path / "out.mkv", video=5, runner="local")
