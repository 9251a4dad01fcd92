"""Crop: who is gated out and why, and what travels on for the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter
from pydantic import ValidationError

from nodes.crop import Crop, CropConfig
from nodes.crop.gates import reason_in_words
from nodes.crop.softness import Softness
from nodes.geometry import alignment as geometry
from nodes.node import Inputs
from nodes.types import Face, FacePatch, Frame, FrameFaces, FramePatches, GateReason
from tests.support.faces import face_at, frame_of, info_of, portrait, scene, segment_in


def crop(frame: Frame, *faces: Face, tmp_path: Path, **config: Any) -> tuple[FramePatches, Crop]:
    node = Crop(CropConfig(**config))
    info = info_of(frame)
    node.open(segment_in(tmp_path), {"frames": info, "faces": info})
    packets = {"frames": frame, "faces": FrameFaces(frame.pts, faces)}
    packet = node.process(Inputs(packets))["patches"]
    node.close()
    assert isinstance(packet, FramePatches)
    assert packet.pts == frame.pts
    return packet, node


def only_patch(frame: Frame, face: Face, tmp_path: Path, **config: Any) -> FacePatch:
    packet, _ = crop(frame, face, tmp_path=tmp_path, **config)
    assert packet.gated == ()
    (patch,) = packet.patches
    return patch


@pytest.fixture
def frame() -> Frame:
    """A picture with detail everywhere, so that no face in it counts as blurred."""
    rng = np.random.default_rng(0)
    grain = Image.fromarray(rng.integers(0, 60, (360, 640, 3), np.uint8))
    return frame_of(ImageChops.add(scene(640, 360), grain), index=7)


def turned(face: Face, right: float = 0, down: float = 0) -> Face:
    """Move a face's nose by eye distances."""
    points = face.points_px.copy()
    points[2] += np.array([right, down], np.float32) * face.eye_distance_px
    return face_at(300, 150, 20, points_px=points)


GATED = {
    "unconfirmed": face_at(300, 150, 20, confirmed=False),
    "unlikely": face_at(300, 150, 20, confirmed=False, unlikely=True),
    "low_score": face_at(300, 150, 20, score=0.3),
    "too_small": face_at(300, 150, 4.9),
    "too_large": face_at(300, 150, 65),
    "turned": turned(face_at(300, 150, 20), right=1.0),
    "turned down": turned(face_at(300, 150, 20), down=0.45),
    "turned up": turned(face_at(300, 150, 20), down=-0.5),
    "outside": face_at(-30, 150, 20),
}


IN_WORDS = {
    "unconfirmed": "seen too briefly",
    "unlikely": "too little like faces",
    "low_score": "too unsure (the detector's confidence is under 0.5)",
    "too_small": "too small (under 5 px between the eyes)",
    "too_large": "too large (over 64 px between the eyes)",
    "turned": "turned away (over 55 degrees to a side or 40 up or down)",
    "outside": "cut off",
}


@pytest.mark.parametrize("reason", GATED)
def test_gated_faces_are_named_with_the_reason(frame: Frame, tmp_path: Path, reason: str) -> None:
    packet, node = crop(frame, GATED[reason], tmp_path=tmp_path, max_eye_distance_px=64)
    assert packet.patches == ()
    reason = reason.split(maxsplit=1)[0]
    assert [(face.track_id, face.reason) for face in packet.gated] == [(1, reason)]
    report = node.report()
    assert report["patches"] == 0
    assert report["gated"] == {reason: 1}
    ((words, count),) = report["left_alone"].items()
    assert count == 1
    assert words.startswith(IN_WORDS[reason])


def test_faces_at_the_gates_pass(frame: Frame, tmp_path: Path) -> None:
    faces = face_at(300, 150, 5.01), face_at(300, 150, 90), face_at(300, 150, 20, score=0.61)
    packet, node = crop(frame, *faces, turned(face_at(300, 150, 20), right=0.5), tmp_path=tmp_path)
    assert len(packet.patches) == 4
    assert node.report() == {"patches": 4, "gated": {}, "left_alone": {}}


@pytest.mark.parametrize(
    ("eyes_px", "scale", "blur_px", "size_px"),
    [
        (10, 1, 0, 128),
        (38, 1, 0, 128),
        (39, 1, 0, 192),
        (20, 2, 0, 192),
        (60, 4, 0, 512),
        # Four and a half times what is seen needs no more.
        (60, 2, 2.0, 256),
        (110, 1, 1.0, 384),
        (110, 1, 8.0, 128),
    ],
)
def test_the_square_holds_the_output_or_what_can_be_made_of_the_source(
    frame: Frame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eyes_px: float,
    scale: int,
    blur_px: float,
    size_px: int,
) -> None:
    monkeypatch.setattr("nodes.crop.node.softness", lambda *_: Softness(blur_px, 0.0))
    face = face_at(300, 150, eyes_px)
    patch = only_patch(frame, face, tmp_path, scale=scale, min_blur_px=0)
    assert (patch.size_px, patch.scale) == (size_px, scale)
    assert patch.eye_distance_px == pytest.approx(eyes_px)


def test_the_square_stays_while_blur_and_size_tremble(
    frame: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, info = Crop(CropConfig(scale=1, min_blur_px=0)), info_of(frame)
    node.open(segment_in(tmp_path), {"frames": info, "faces": info})
    sizes: list[int] = []
    for index, eyes_px in enumerate((37.5, 38.5, 37.0, 39.0, 60.0, 39.0)):
        monkeypatch.setattr("nodes.crop.node.softness", lambda *_: Softness(0.3, 0.0))
        later = replace(frame, pts=7 + index)
        packets = {
            "frames": later,
            "faces": FrameFaces(later.pts, (face_at(300, 150, eyes_px),)),
        }
        packet = node.process(Inputs(packets))["patches"]
        assert isinstance(packet, FramePatches)
        sizes += [patch.size_px for patch in packet.patches]
    assert sizes == [128, 128, 128, 128, 256, 192]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "nv12", "yuv444p"])
@pytest.mark.parametrize("place", [(300, 150), (4, 3), (636, 340)])
def test_the_region_is_on_the_chroma_grid_inside_the_frame_and_holds_the_square(
    tmp_path: Path, pix_fmt: str, place: tuple[float, float]
) -> None:
    frame = frame_of(scene(639, 359), pix_fmt=pix_fmt)
    patch = only_patch(frame, face_at(*place, 20.3), tmp_path, min_detail=0, min_blur_px=0)
    x0, y0, x1, y1 = patch.region_xyxy_px
    assert patch.rgb.shape == (y1 - y0, x1 - x0, 3)
    assert patch.bit_depth == (10 if "10" in pix_fmt else 8)
    assert patch.rgb.dtype == (np.uint16 if "10" in pix_fmt else np.uint8)
    sub_x, sub_y = {"yuv422p10le": (2, 1), "yuv444p": (1, 1)}.get(pix_fmt, (2, 2))
    assert x0 % sub_x == y0 % sub_y == 0
    assert x1 % sub_x == 0 or x1 == 639
    assert y1 % sub_y == 0 or y1 == 359
    square = geometry.bounding_box(geometry.invert(patch.crop_from_region), patch.size_px)
    assert x0 <= max(0, square[0] + x0)
    assert y0 <= max(0, square[1] + y0)
    assert x1 >= min(639, square[2] + x0)
    assert y1 >= min(359, square[3] + y0)


def test_the_transform_takes_the_eyes_to_the_template(frame: Frame, tmp_path: Path) -> None:
    face = face_at(301.3, 149.6, 17)
    patch = only_patch(frame, face, tmp_path)
    inside = face.points_px - np.array(patch.region_xyxy_px[:2])
    aligned = geometry.apply(patch.crop_from_region, inside[[0, 1, 3]])
    assert aligned == pytest.approx(geometry.template_points(patch.size_px), abs=0.01)


def test_the_pixels_are_the_frames(tmp_path: Path) -> None:
    image = scene(640, 360)
    image.paste((250, 20, 30), (296, 146, 304, 154))
    face = face_at(300, 150, 20)
    patch = only_patch(frame_of(image, pix_fmt="yuv444p"), face, tmp_path, min_blur_px=0)
    x0, y0, _, _ = patch.region_xyxy_px
    assert patch.rgb[150 - y0, 300 - x0] == pytest.approx((250, 20, 30), abs=4)
    assert patch.rgb[140 - y0, 300 - x0, 0] < 200


def test_open_counts_afresh(frame: Frame, tmp_path: Path) -> None:
    node = Crop(CropConfig())
    info = info_of(frame)
    for _ in range(2):
        node.open(segment_in(tmp_path), {"frames": info, "faces": info})
        faces = FrameFaces(frame.pts, (face_at(300, 150, 20), face_at(300, 150, 2)))
        node.process(Inputs({"frames": frame, "faces": faces}))
        node.close()
        assert node.report()["gated"] == {"too_small": 1}


PORTRAIT_EYES = (99.3, 139.8), 43.8
"""Middle and distance of the eyes in the 350 px still."""


def smeared(image: Image.Image, length_px: int) -> Image.Image:
    """Blur as a movement to the side does."""
    pixels = np.asarray(image, np.float64)
    moved = [np.roll(pixels, shift, axis=1) for shift in range(length_px)]
    return Image.fromarray(np.mean(moved, axis=0).astype(np.uint8))


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (lambda image: image, None),
        (lambda image: image.filter(ImageFilter.GaussianBlur(1.2)), None),
        (lambda image: image.filter(ImageFilter.GaussianBlur(7)), "blurred"),
        (lambda image: smeared(image, 32), "blurred"),
    ],
    ids=["sharp", "soft", "out of focus", "moving"],
)
def test_faces_blurred_beyond_hope_are_left_alone(
    tmp_path: Path, spoiled: Callable[[Image.Image], Image.Image], reason: str | None
) -> None:
    (x, y), eyes_px = PORTRAIT_EYES
    face = face_at(0.6 * x, 0.6 * y, 0.6 * eyes_px)
    packet, _ = crop(frame_of(spoiled(portrait(210))), face, tmp_path=tmp_path)
    assert [gated.reason for gated in packet.gated] == ([reason] if reason else [])
    whatever, _ = crop(frame_of(spoiled(portrait(210))), face, tmp_path=tmp_path, min_detail=0)
    assert len(whatever.patches) == 1


SOFT_PX = 1.2
"""Of the still, reduced to 210 px: it needs all that AMINet can add."""


def soft_portrait(blur_px: float) -> tuple[Frame, Face]:
    image = portrait(210).filter(ImageFilter.GaussianBlur(blur_px))
    (x, y), eyes_px = PORTRAIT_EYES
    return frame_of(image), face_at(0.6 * x, 0.6 * y, 0.6 * eyes_px)


def strength(frame: Frame, face: Face, tmp_path: Path, **config: Any) -> float:
    packet, _ = crop(frame, face, tmp_path=tmp_path, **config)
    return packet.patches[0].strength if packet.patches else 0.0


def test_strength_follows_need(tmp_path: Path) -> None:
    by_blur = [strength(*soft_portrait(blur_px), tmp_path) for blur_px in (0, 0.4, 0.7, SOFT_PX)]
    assert by_blur == sorted(by_blur)
    assert by_blur[0] < 0.8 * by_blur[-1]
    assert by_blur[-1] == 0.85
    # Enlarged, every face is soft.
    assert strength(*soft_portrait(0), tmp_path, scale=4) == by_blur[-1]


def test_a_sharp_face_is_left_as_it_is_and_the_report_says_so(tmp_path: Path) -> None:
    small = portrait(350).resize((80, 80), Image.Resampling.BOX)
    small = small.filter(ImageFilter.UnsharpMask(1, 80, 0))
    (x, y), eyes_px = PORTRAIT_EYES
    shrink = 80 / 350
    frame, face = frame_of(small), face_at(shrink * x, shrink * y, shrink * eyes_px)
    _, node = crop(frame, face, tmp_path=tmp_path)
    assert node.report()["gated"] == {"sharp": 1}
    assert len(crop(frame, face, tmp_path=tmp_path, scale=2)[0].patches) == 1
    assert len(crop(frame, face, tmp_path=tmp_path, min_blur_px=0)[0].patches) == 1


FADES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "score": ([face_at(60, 84, 26.3, score=s) for s in np.linspace(0.45, 0.7, 60)], {}),
    "small": ([face_at(60, 84, e) for e in np.linspace(20, 30, 60)], {"min_eye_distance_px": 22}),
    "large": ([face_at(60, 84, e) for e in np.linspace(20, 30, 60)], {"max_eye_distance_px": 28}),
    "yaw": ([turned(face_at(60, 84, 26.3), right=r) for r in np.linspace(0.3, 1.1, 80)], {}),
    "pitch": ([turned(face_at(60, 84, 26.3), down=d) for d in np.linspace(0, 0.5, 60)], {}),
}


@pytest.mark.parametrize("gate", FADES)
def test_no_gate_lets_the_strength_jump(tmp_path: Path, gate: str) -> None:
    """Whatever passes a gate slowly fades, from all of it to nothing."""
    frame, _ = soft_portrait(SOFT_PX)
    faces, config = FADES[gate]
    passing = [strength(frame, face, tmp_path, min_detail=0, **config) for face in faces]
    assert min(passing) == 0
    assert max(passing) > 0.8
    assert np.abs(np.diff(passing)).max() < 0.12


def test_blur_fades_in_from_sharp_and_out_to_hopeless(tmp_path: Path) -> None:
    blurs_px = [0.05 * step for step in range(20)] + [1 + 0.125 * step for step in range(41)]
    passing = [strength(*soft_portrait(blur_px), tmp_path) for blur_px in blurs_px]
    assert passing[-1] == 0
    assert np.abs(np.diff(passing)).max() < 0.2


@pytest.mark.parametrize(
    ("codec_name", "lossy"), [("h264", True), ("mjpeg", True), ("ffv1", False), ("mine", True)]
)
def test_it_is_known_whether_the_codec_lost_something(
    tmp_path: Path, codec_name: str, lossy: bool
) -> None:
    frame, face = soft_portrait(SOFT_PX)
    info = replace(info_of(frame), codec_name=codec_name)
    node = Crop(CropConfig())
    node.open(segment_in(tmp_path), {"frames": info, "faces": info})
    packets = {"frames": frame, "faces": FrameFaces(frame.pts, (face,))}
    packet = node.process(Inputs(packets))["patches"]
    assert isinstance(packet, FramePatches)
    assert [patch.lossy for patch in packet.patches] == [lossy]


def test_combs_of_interlaced_pictures_do_not_mislead(tmp_path: Path) -> None:
    frame, face = soft_portrait(SOFT_PX)
    rgb = frame.picture.to_ndarray(format="rgb24")
    rgb[1::2] = np.roll(rgb[1::2], 5, axis=1)
    combed = frame_of(Image.fromarray(rgb))
    node = Crop(CropConfig(min_blur_px=0))
    found: list[float] = []
    for picture, interlaced in ((frame, False), (combed, True), (combed, False)):
        info = replace(info_of(picture), interlaced=interlaced)
        node.open(segment_in(tmp_path), {"frames": info, "faces": info})
        packets = {"frames": picture, "faces": FrameFaces(picture.pts, (face,))}
        packet = node.process(Inputs(packets))["patches"]
        assert isinstance(packet, FramePatches)
        found.append(packet.patches[0].blur_px)
    assert found[1] == pytest.approx(found[0], abs=0.4)
    assert abs(found[2] - found[0]) > 1


def chosen(frame: Frame, tmp_path: Path, **config: Any) -> list[int]:
    """Track ids restored of five faces: 10 to 40 px between the eyes, the largest unconfirmed."""
    faces = [
        face_at(80 + 120 * place, 150, eyes_px, track_id=place + 1, confirmed=eyes_px < 40)
        for place, eyes_px in enumerate((20, 10, 30, 40, 15))
    ]
    packet, _ = crop(frame, *faces, tmp_path=tmp_path, **config)
    reasons = {gated.track_id: gated.reason for gated in packet.gated}
    assert reasons.pop(4) == "unconfirmed"
    assert set(reasons.values()) <= {"not_selected"}
    return [patch.track_id for patch in packet.patches]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [1, 2, 3, 5]),
        ({"faces": "largest"}, [3]),
        ({"faces": 2}, [1, 3]),
        ({"faces": 9}, [1, 2, 3, 5]),
        ({"track_ids": (2, 5, 77)}, [2, 5]),
        ({"track_ids": ()}, []),
        ({"region_xyxy_px": (150, 100, 350, 200)}, [2, 3]),
        ({"region_xyxy_px": (150, 0, 350, 100)}, []),
        ({"times_s": (0.28, 1)}, [1, 2, 3, 5]),
        ({"times_s": (0, 0.28)}, []),
        ({"region_xyxy_px": (0, 0, 250, 360), "faces": "largest"}, [1]),
    ],
)
def test_faces_can_be_chosen(
    frame: Frame, tmp_path: Path, config: dict[str, Any], expected: list[int]
) -> None:
    assert chosen(frame, tmp_path, **config) == expected


@pytest.mark.parametrize(
    "config",
    [{"faces": 0}, {"faces": "some"}, {"region_xyxy_px": (9, 0, 9, 5)}, {"times_s": (2, 1)}],
)
def test_choices_that_mean_nothing_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CropConfig(**config)


@pytest.mark.parametrize("sizes", [(), (100,), (32,)])
def test_sizes_the_network_cannot_take_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="multiples of 32"):
        CropConfig(sizes_px=sizes)


@pytest.mark.parametrize("reason", get_args(GateReason))
def test_every_reason_has_words(reason: GateReason) -> None:
    words = reason_in_words(reason, CropConfig(max_eye_distance_px=64))
    assert len(words.split()) > 3
    assert "inf" not in words
