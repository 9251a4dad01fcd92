"""Track: real faces, small, turned, leaving; through the real detector."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodes.errors import UnsupportedFormatError
from nodes.geometry.alignment import roll_deg
from nodes.node import Inputs
from nodes.picture.regions import RegionReader
from nodes.track import Track, TrackConfig
from nodes.track.detector import FaceDetector, mean_of, mirror
from nodes.track.views import Square, cut_view
from nodes.types import ColorTags, Frame, FrameFaces
from tests.support.distractors import logo, smiley
from tests.support.faces import frame_of, info_of, portrait, scene, segment_in, still

# In the 350 px still, as the detector finds them at full size.
EYES_MIDDLE = (99.3, 139.8)
EYES_PX = 43.8
ROLL_DEG = -5.0


@pytest.fixture
def track() -> Iterator[Track]:
    node = Track(TrackConfig())
    yield node
    node.close()


def follow(
    track: Track, tmp_path: Path, frames: list[Frame], rotation_deg: int = 0
) -> list[FrameFaces]:
    track.open(segment_in(tmp_path), {"frames": info_of(frames[0], rotation_deg=rotation_deg)})
    found: list[FrameFaces] = []
    for frame in frames:
        packet = track.process(Inputs({"frames": frame}))["faces"]
        assert isinstance(packet, FrameFaces)
        assert packet.pts == frame.pts
        found.append(packet)
    return found


def eyes_middle(faces: FrameFaces) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (f.points_px[:2].mean(axis=0) for f in faces.faces)]


def test_a_face_in_the_first_frame_is_found_and_believed(track: Track, tmp_path: Path) -> None:
    (faces,) = follow(track, tmp_path, [frame_of(portrait(350))])
    (face,) = faces.faces
    assert face.confirmed
    assert face.track_id == 1
    assert eyes_middle(faces)[0] == pytest.approx(EYES_MIDDLE, abs=3)
    assert face.eye_distance_px == pytest.approx(EYES_PX, abs=3)
    x0, y0, x1, y1 = face.box_xyxy_px
    assert x0 < face.points_px[:, 0].min() < face.points_px[:, 0].max() < x1
    assert y0 < face.points_px[:, 1].min() < face.points_px[:, 1].max() < y1


@pytest.mark.parametrize(
    ("thing", "side_px"), [(logo, 44), (logo, 110), (smiley, 64), (smiley, 110)]
)
def test_what_is_only_a_little_like_a_face_is_not_believed(
    track: Track, tmp_path: Path, thing: Callable[[int], Image.Image], side_px: int
) -> None:
    rng = np.random.default_rng(0)
    frames: list[Frame] = []
    for index in range(5):
        picture = scene(320, 180, (thing(side_px), 90 + index, 40))
        noisy = np.asarray(picture, np.float64) + rng.normal(0, 2, (180, 320, 1))
        levels = np.clip(noisy, 0, 255).astype(np.uint8)
        frames.append(frame_of(Image.fromarray(levels), index))
    found = follow(track, tmp_path, frames)
    assert not any(face.confirmed for faces in found for face in faces.faces)


def test_two_faces_get_two_numbers(track: Track, tmp_path: Path) -> None:
    frame = frame_of(still("faces_two.jpg"))
    first, second = follow(track, tmp_path, [frame, frame_of(still("faces_two.jpg"), 1)])
    assert [face.track_id for face in first.faces] == [1, 2]
    assert [face.track_id for face in second.faces] == [1, 2]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "nv12"])
def test_a_small_face_in_a_wide_frame_is_found(track: Track, tmp_path: Path, pix_fmt: str) -> None:
    """The whole frame shrunk to the detector's 128 px would show it 4 px wide."""
    side = 70  # the face is about 22 px wide
    picture = scene(640, 360, (portrait(side), 430, 210))
    (faces,) = follow(track, tmp_path, [frame_of(picture, pix_fmt=pix_fmt)])
    expected = (430 + EYES_MIDDLE[0] * side / 350, 210 + EYES_MIDDLE[1] * side / 350)
    assert len(faces.faces) == 1
    assert eyes_middle(faces)[0] == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_faces_are_upright_after_the_display_matrix_not_before(
    track: Track, tmp_path: Path, rotation_deg: int
) -> None:
    shown = scene(400, 300, (portrait(200), 120, 60))
    coded = shown.rotate(rotation_deg, expand=True)  # the player turns it back clockwise
    (faces,) = follow(track, tmp_path, [frame_of(coded)], rotation_deg)
    (face,) = faces.faces
    turn = (roll_deg(face.points_px) + rotation_deg - ROLL_DEG + 180) % 360 - 180
    assert abs(turn) < 8
    x, y = 120 + EYES_MIDDLE[0] * 200 / 350, 60 + EYES_MIDDLE[1] * 200 / 350
    expected = {90: (y, 400 - x), 180: (400 - x, 300 - y), 270: (300 - y, x)}[rotation_deg]
    assert eyes_middle(faces)[0] == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("turn_deg", [-140, 60])
def test_a_tilted_head_is_followed_upright(track: Track, tmp_path: Path, turn_deg: int) -> None:
    frames = [frame_of(portrait(300, turn_deg=turn_deg * step / 40), step) for step in range(41)]
    found = follow(track, tmp_path, frames)
    # What is found once beside it, and never confirmed, has the number 0.
    assert all(sorted({0, *(f.track_id for f in faces.faces)}) == [0, 1] for faces in found)
    turned = roll_deg(found[-1].faces[0].points_px) - roll_deg(found[0].faces[0].points_px)
    assert turned == pytest.approx(turn_deg, abs=15)


def test_points_are_where_the_face_is_while_it_moves(track: Track, tmp_path: Path) -> None:
    frames = [frame_of(scene(480, 270, (portrait(140), 20 + 6 * i, 60)), i) for i in range(12)]
    found = follow(track, tmp_path, frames)
    assert {face.track_id for faces in found for face in faces.faces} == {1}
    for i, faces in enumerate(found):
        expected = 20 + 6 * i + EYES_MIDDLE[0] * 140 / 350
        assert eyes_middle(faces)[0][0] == pytest.approx(expected, abs=2.5)


def test_a_face_that_left_is_not_reported_and_comes_back_as_itself(
    track: Track, tmp_path: Path
) -> None:
    shown, gone = scene(400, 240, (portrait(160), 100, 40)), scene(400, 240)
    pictures = [shown] * 3 + [gone] * 4 + [shown] * 8
    found = follow(track, tmp_path, [frame_of(p, i) for i, p in enumerate(pictures)])
    counts = [len(faces.faces) for faces in found]
    assert counts[:7] == [1, 1, 1, 0, 0, 0, 0]
    assert counts[-1] == 1
    assert {face.track_id for faces in found for face in faces.faces} == {1}


def test_after_a_cut_numbers_are_new_and_nothing_is_smoothed_over(
    track: Track, tmp_path: Path
) -> None:
    here = scene(400, 240, (portrait(160), 100, 40))
    there = Image.eval(scene(400, 240), lambda level: 255 - level).transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    )
    there.paste(Image.new("RGB", (200, 240), (5, 5, 5)), (0, 0))
    there.paste(portrait(160), (104, 44))
    found = follow(track, tmp_path, [frame_of(p, i) for i, p in enumerate([here, here, there])])
    believed = [face.track_id for faces in found for face in faces.faces if face.confirmed]
    assert believed == [1, 1, 2]
    expected = tuple(a * 160 / 350 + b for a, b in zip(EYES_MIDDLE, (104, 44), strict=True))
    assert eyes_middle(found[2])[0] == pytest.approx(expected, abs=1.5)
    track.close()
    assert track.report()["cuts"] == 1


def test_no_face_is_a_packet_too(track: Track, tmp_path: Path) -> None:
    found = follow(track, tmp_path, [frame_of(scene(320, 180), i) for i in range(3)])
    assert [faces.faces for faces in found] == [(), (), ()]


def test_open_forgets_everything(track: Track, tmp_path: Path) -> None:
    for _ in range(2):
        (faces,) = follow(track, tmp_path, [frame_of(portrait(200))])
        assert [face.track_id for face in faces.faces] == [1]
        track.close()
        assert track.report()["faces"] == 1


def test_a_format_that_cannot_be_read_is_refused_at_open(track: Track, tmp_path: Path) -> None:
    info = replace(info_of(frame_of(portrait(64))), pix_fmt="rgb24")
    with pytest.raises(UnsupportedFormatError, match="rgb24"):
        track.open(segment_in(tmp_path), {"frames": info})


def test_it_pickles_before_open() -> None:
    node: Track = pickle.loads(pickle.dumps(Track(TrackConfig())))  # noqa: S301
    assert node.config == TrackConfig()


def test_a_view_maps_back_to_the_frame() -> None:
    picture = scene(200, 160)
    picture.paste((255, 255, 255), (120, 50, 124, 54))
    view = cut_view(RegionReader(ColorTags()), frame_of(picture).picture, Square((110, 60), 64, 30))
    assert view is not None
    bright = np.maximum(view.rgb.min(axis=2).astype(float) - 180, 0)
    y, x = np.mgrid[0:128, 0:128] + 0.5
    middle = np.array([(bright * x).sum(), (bright * y).sum()]) / bright.sum()
    back = view.frame_from_view[:, :2] @ middle + view.frame_from_view[:, 2]
    assert back == pytest.approx((122, 52), abs=0.3)


def test_a_view_outside_the_frame_is_none_and_at_its_edge_is_black() -> None:
    picture, reader = frame_of(scene(100, 80)).picture, RegionReader(ColorTags())
    assert cut_view(reader, picture, Square((300, 40), 64)) is None
    view = cut_view(reader, picture, Square((0, 40), 64))
    assert view is not None
    assert not view.rgb[:, :60].any()
    assert view.rgb[:, 68:].any(axis=2).all()


@pytest.mark.parametrize("middle", [(50.0, 40.0), (32.0, 32.0), (50.3, 40.7)])
@pytest.mark.parametrize("side_px", [64.0, 100.0])
def test_a_view_has_no_dark_rim(middle: tuple[float, float], side_px: float) -> None:
    frame = frame_of(Image.new("RGB", (100, 80), (200, 200, 200)))
    view = cut_view(RegionReader(ColorTags()), frame.picture, Square(middle, side_px, 0))
    assert view is not None
    shown = view.rgb[view.rgb.any(axis=2)]
    assert np.ptp(shown) == 0


def test_a_mirrored_look_finds_the_same_face() -> None:
    rgb = np.asarray(portrait(350).crop((40, 60, 200, 220)).resize((128, 128)))
    detector = FaceDetector(0.5)
    (plain,) = detector.detect(np.ascontiguousarray(rgb))
    (mirrored,) = (mirror(d, 128) for d in detector.detect(np.ascontiguousarray(rgb[:, ::-1])))
    detector.close()
    assert mirrored.points_px == pytest.approx(plain.points_px, abs=4)
    assert mirrored.box_xyxy_px == pytest.approx(plain.box_xyxy_px, abs=4)
    both = mean_of(plain, mirrored)
    assert both.points_px == pytest.approx((plain.points_px + mirrored.points_px) / 2)
    assert both.score == pytest.approx((plain.score + mirrored.score) / 2)


def test_detector_says_nothing_on_the_terminal() -> None:
    code = (
        "import numpy as np, os\n"
        "from nodes.track.detector import FaceDetector\n"
        "d = FaceDetector(0.5)\n"
        "d.detect(np.zeros((90, 70, 3), np.uint8))\n"
        "d.close(); d.close()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_others_write_to_stderr_meanwhile_is_not_lost(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    real_detect = FaceDetector.detect
    written: list[str] = []

    def chatty(self: FaceDetector, rgb: object) -> object:
        written.append(f"line {len(written)} from another thread\n")
        os.write(2, written[-1].encode())
        return real_detect(self, rgb)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(FaceDetector, "detect", chatty)
    FaceDetector(0.5).close()
    assert written
    assert capfd.readouterr().err == "".join(written)


def test_a_damaged_model_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.track.detector._MODEL_SHA256", "0" * 64)
    with pytest.raises(Exception, match="damaged"):
        FaceDetector(0.5)


def test_the_warm_up_is_as_long_as_faces_are_remembered() -> None:
    info = info_of(frame_of(scene(64, 48)))
    assert Track(TrackConfig()).warmup_s(info) == 3.5
    assert Track(TrackConfig(remember_s=20)).warmup_s(info) == 20.5
    assert Track(TrackConfig(remember_s=0, scan_interval_s=2)).warmup_s(info) == 2.5
    assert Track(TrackConfig(remember_s=0, max_gap_s=4)).warmup_s(info) == 4.5
    slow = replace(info, average_rate=Fraction(1, 5))
    assert Track(TrackConfig()).warmup_s(slow) == 30.5  # six frames
    assert Track(TrackConfig()).warmup_s(replace(info, average_rate=None)) == 3.5
