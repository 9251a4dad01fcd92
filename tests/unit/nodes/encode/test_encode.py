"""Encode: the frames' own times and pixels, and an encoder that holds them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from nodes.encode import Encode
from nodes.encode.encoders import EncodeConfig, plan_encoder
from nodes.encode.writer import PTS_OFFSET_KEY, VIDEO_FILE
from nodes.errors import MediaError, NodeConfigError, UnsupportedFormatError, WriteError
from nodes.node import Inputs, Segment
from nodes.types import ColorTags, Frame, VideoInfo
from pipeline.errors import exit_code
from tests.support import ROOT
from tests.support.media import Video, decode_all, make_picture, make_video
from tests.support.video_nodes import decode, encode, same_pixels

INFO = VideoInfo(
    width_px=64,
    height_px=48,
    pix_fmt="yuv420p",
    time_base=Fraction(1, 12800),
    average_rate=Fraction(25),
    sample_aspect_ratio=Fraction(1),
    rotation_deg=0,
    color=ColorTags(),
    codec_name="h264",
    bit_depth=8,
)

REGULAR = tuple(range(0, 12 * 512, 512))

FFV1 = EncodeConfig(codec="ffv1")
LOSSLESS_X264 = EncodeConfig(codec="x264", options={"qp": "0"})


def frames_of(info: VideoInfo, pts: tuple[int, ...] = REGULAR) -> list[Frame]:
    return [
        Frame(number, time, 0, make_picture(number, info.width_px, info.height_px, info.pix_fmt))
        for number, time in enumerate(pts)
    ]


def times_s(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        offset = int(container.metadata.get(PTS_OFFSET_KEY, "0")) * INFO.time_base
        stream = container.streams.video[0]
        assert stream.time_base is not None
        times = [p.pts * stream.time_base for p in container.demux(stream) if p.pts is not None]
        return [time + offset for time in sorted(times)]


@pytest.mark.parametrize(
    "time_base", [*(Fraction(1, n) for n in (25, 1000, 90_000, 10_000_000)), Fraction(1001, 30000)]
)
@pytest.mark.parametrize("pts", [(0, 1, 2, 3, 4, 5), (7, 8, 30, 31, 500, 9000), (10**9, 10**9 + 1)])
def test_any_time_base_and_any_times_are_kept_exactly(
    tmp_path: Path, time_base: Fraction, pts: tuple[int, ...]
) -> None:
    info = replace(INFO, time_base=time_base)
    path, _ = encode(info, frames_of(info, pts), tmp_path, LOSSLESS_X264)
    assert times_s(path) == [time * time_base for time in pts]


@pytest.mark.parametrize("codec", ["x264", "prores"])
def test_negative_times_are_kept(tmp_path: Path, codec: str) -> None:
    info = replace(INFO, pix_fmt="yuv422p10le")
    pts = tuple(time - 1500 for time in REGULAR)
    path, _ = encode(info, frames_of(info, pts), tmp_path, EncodeConfig(codec=codec))
    assert times_s(path) == [time * info.time_base for time in pts]


@pytest.mark.parametrize(
    ("pix_fmt", "config"),
    [
        ("yuv420p", FFV1),
        ("yuv422p10le", FFV1),
        ("yuv444p16le", FFV1),
        ("gray", FFV1),
        ("gray12le", FFV1),
        ("yuv420p", LOSSLESS_X264),
        ("yuvj420p", LOSSLESS_X264),
        ("nv12", LOSSLESS_X264),
        ("yuv422p", LOSSLESS_X264),
        ("yuv444p10le", LOSSLESS_X264),
        ("yuv420p12le", EncodeConfig(codec="x265", options={"x265-params": "lossless=1"})),
    ],
)
def test_a_lossless_encoder_changes_no_pixel(
    tmp_path: Path, pix_fmt: str, config: EncodeConfig
) -> None:
    info = replace(INFO, pix_fmt=pix_fmt, width_px=66, height_px=46)
    frames = frames_of(info)

    path, report = encode(info, frames, tmp_path, config)

    # H.264 stores NV12 as 4:2:0; the planes that come back are the same samples.
    expected = [
        frame.picture.reformat(format="yuv420p") if pix_fmt == "nv12" else frame.picture
        for frame in frames
    ]
    assert same_pixels(decode_all(path), expected)
    assert report["converted_from"] is None
    assert report["frames"] == 12
    assert report["bytes"] == path.stat().st_size
    json.dumps(report)


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "becomes"),
    [
        ("p010le", "x264", "yuv420p10le"),
        ("nv24", "x264", "yuv444p"),
        ("yuv440p", "x264", "yuv444p"),
        ("yuv411p", "x264", "yuv422p"),
        ("yuvj422p", "ffv1", "yuv422p"),
        ("yuv420p", "prores", "yuv422p10le"),
    ],
)
def test_what_an_encoder_lacks_goes_to_the_nearest_superset_and_is_told(
    tmp_path: Path, pix_fmt: str, codec: str, becomes: str
) -> None:
    info = replace(INFO, pix_fmt=pix_fmt)
    _, report = encode(info, frames_of(info)[:2], tmp_path, EncodeConfig(codec=codec))
    assert (report["pix_fmt"], report["converted_from"]) == (becomes, pix_fmt)


def test_nothing_is_lost_on_the_way_to_the_superset(tmp_path: Path) -> None:
    info = replace(INFO, pix_fmt="p010le")
    frames = frames_of(info)
    config = EncodeConfig(codec="x264", options={"qp": "0"})

    path, _ = encode(info, frames, tmp_path, config)

    back = [picture.reformat(format="p010le") for picture in decode_all(path)]
    assert same_pixels(back, [frame.picture for frame in frames])


@pytest.mark.parametrize(
    ("codec_name", "pix_fmt", "encoder"),
    [
        ("h264", "yuv420p", "libx264"),
        ("h264", "yuv422p10le", "libx264"),
        ("h264", "yuv420p12le", "libx265"),
        ("hevc", "yuv420p10le", "libx265"),
        ("hevc", "gray16le", "ffv1"),
        ("av1", "yuv420p10le", "libsvtav1"),
        ("av1", "yuv444p", "libx265"),
        ("vp9", "yuv444p", "libvpx-vp9"),
        ("vp9", "yuv420p10le", "libsvtav1"),
        ("prores", "yuv422p10le", "prores_ks"),
        ("ffv1", "yuv444p16le", "ffv1"),
        ("mpeg4", "yuv420p", "libx264"),
        ("mjpeg", "yuvj422p", "libx264"),
        ("rawvideo", "yuv422p", "libx264"),
        ("wmv3", "yuv420p", "libx264"),
    ],
)
def test_auto_keeps_the_family_depth_and_chroma(
    codec_name: str, pix_fmt: str, encoder: str
) -> None:
    info = replace(INFO, codec_name=codec_name, pix_fmt=pix_fmt)
    plan = plan_encoder(EncodeConfig(), info, threads=2)
    assert (plan.encoder, plan.pix_fmt) == (encoder, pix_fmt)


def test_the_users_settings_win() -> None:
    config = EncodeConfig(codec="x264", crf=23.5, preset="slow", options={"tune": "film"})
    plan = plan_encoder(config, INFO, threads=2)
    assert plan.options == {"preset": "slow", "crf": "23.5", "tune": "film"}


def test_a_bitrate_takes_the_place_of_quality() -> None:
    plan = plan_encoder(EncodeConfig(codec="vp9", bitrate_bps=2_000_000), INFO, threads=1)
    assert plan.bitrate_bps == 2_000_000
    assert not {"crf", "b"} & set(plan.options)


@pytest.mark.parametrize(
    ("config", "error", "says"),
    [
        (EncodeConfig(codec="nonsense"), NodeConfigError, "unknown"),
        (EncodeConfig(codec="aac"), NodeConfigError, "encodes audio"),
        (EncodeConfig(codec="x264", preset="warp"), NodeConfigError, "refuses"),
        (EncodeConfig(options={"no_such_option": "1"}), NodeConfigError, "may not be set"),
        (EncodeConfig(codec="x264", options={"tier": "1"}), NodeConfigError, "does not know"),
        (EncodeConfig(codec="x264", pix_fmt="gray16le"), UnsupportedFormatError, "cannot hold"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_the_first_frame(
    tmp_path: Path, config: EncodeConfig, error: type[Exception], says: str
) -> None:
    node = Encode(config)
    with pytest.raises(error, match=says) as caught:
        node.open(Segment("unused", tmp_path, 1), {"frames": INFO})
    node.close()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_colour_tags_and_pixel_shape_are_written(tmp_path: Path) -> None:
    info = replace(
        INFO,
        pix_fmt="yuv420p10le",
        color=ColorTags(9, 1, 9, 16),
        sample_aspect_ratio=Fraction(16, 11),
    )
    path, _ = encode(info, frames_of(info), tmp_path)

    picture = decode_all(path)[0]
    assert (picture.colorspace, picture.color_range) == (9, 1)
    assert (picture.color_primaries, picture.color_trc) == (9, 16)
    with av.open(path) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.parametrize("top_field_first", [True, False])
def test_interlaced_frames_stay_so_though_a_node_made_them_anew(
    tmp_path: Path, *, top_field_first: bool
) -> None:
    info = replace(INFO, interlaced=True, top_field_first=top_field_first)
    frames = frames_of(info)

    path, report = encode(info, frames, tmp_path, LOSSLESS_X264)

    out, out_frames, _ = decode(path)
    assert (out.interlaced, out.top_field_first) == (True, top_field_first)
    assert same_pixels((f.picture for f in out_frames), (f.picture for f in frames))
    assert report["fields"] == "coded as fields"


def test_the_same_frames_and_threads_give_the_same_bytes(tmp_path: Path) -> None:
    one, _ = encode(INFO, frames_of(INFO), tmp_path / "a")
    two, _ = encode(INFO, frames_of(INFO), tmp_path / "b")
    assert one.read_bytes() == two.read_bytes()


def test_the_frames_handed_in_are_not_changed(tmp_path: Path) -> None:
    frames = frames_of(INFO, tuple(time - 1500 for time in REGULAR))
    for frame in frames:
        frame.picture.pts, frame.picture.duration = frame.pts, 1024
        frame.picture.time_base = Fraction(1, 90)
    encode(INFO, frames, tmp_path)
    assert [frame.picture.pts for frame in frames] == [frame.pts for frame in frames]
    assert {(frame.picture.duration, frame.picture.time_base) for frame in frames} == {
        (1024, Fraction(1, 90))
    }
    assert same_pixels((frame.picture for frame in frames), map(make_picture, range(12)))


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    wrong = Frame(0, 0, 0, make_picture(0, 66, 48))
    with pytest.raises(MediaError, match="66x48, expected 64x48"):
        encode(INFO, [wrong], tmp_path)


def test_times_that_do_not_increase_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="pts 512, expected more than 512"):
        encode(INFO, frames_of(INFO, (512, 512)), tmp_path)


def test_an_unfinished_file_is_removed(tmp_path: Path) -> None:
    node = Encode(EncodeConfig())
    node.open(Segment("unused", tmp_path, 1), {"frames": INFO})
    for frame in frames_of(INFO):
        node.process(Inputs({"frames": frame}))
    node.close()
    node.close()
    assert list(tmp_path.iterdir()) == []


def test_no_frame_at_all_is_an_empty_file(tmp_path: Path) -> None:
    _, report = encode(INFO, [], tmp_path)
    assert report["frames"] == 0


@pytest.mark.parametrize("codec", ["x264", "x265", "av1", "vp9"])
def test_encoders_are_quiet(tmp_path: Path, codec: str) -> None:
    source = make_video(tmp_path / "v.mkv", Video(codec="ffv1", frames=2))
    program = f"""
from pathlib import Path
from nodes.encode import EncodeConfig
from tests.support.video_nodes import decode, encode
info, frames, _ = decode({str(source)!r})
encode(info, frames, Path({str(tmp_path)!r}), EncodeConfig(codec={codec!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize("codec_name", ["mjpeg", "hevc"])
def test_an_odd_size_gets_an_encoder_that_takes_it(codec_name: str) -> None:
    odd = replace(INFO, width_px=65, codec_name=codec_name)
    assert plan_encoder(EncodeConfig(), odd, 1).encoder == "libvpx-vp9"
    full = replace(odd, pix_fmt="yuv444p")
    assert plan_encoder(EncodeConfig(), full, 1).encoder != "libvpx-vp9"


def test_an_odd_size_that_the_chosen_encoder_refuses_is_told() -> None:
    with pytest.raises(UnsupportedFormatError, match="cannot code 65x48 in yuv420p"):
        plan_encoder(EncodeConfig(codec="x264"), replace(INFO, width_px=65), 1)


def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    file = tmp_path / "work" / VIDEO_FILE
    file.symlink_to("/dev/full")
    frames = [Frame(n, pts, 512, make_picture(n)) for n, pts in enumerate(REGULAR)]
    with pytest.raises(WriteError, match="cannot write") as caught:
        encode(INFO, frames, tmp_path / "work", FFV1)
    assert exit_code(caught.value) == 4
    assert not file.is_symlink()


def test_nvenc_without_a_gpu_says_what_it_needs(tmp_path: Path) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is one here")
    with pytest.raises(NodeConfigError, match="h264_nvenc needs an NVIDIA GPU with its driver"):
        encode(INFO, [], tmp_path / "work", EncodeConfig(codec="nvenc"))
