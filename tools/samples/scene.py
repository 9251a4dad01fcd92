"""What the two sample videos show: who stands where, cut from which clip, and how they move.

Convention: continuous image coordinates, pixel centres at .5. "Clip pixels" are those of the
350x350 source clips, "sample pixels" those of the degraded video, "reference pixels" those of the
undegraded rendering, which is `REFERENCE_SCALE` times as large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["PORTRAIT", "REFERENCE_SCALE", "STREET", "Person", "Video"]

REFERENCE_SCALE = 2
"""Reference pixels per sample pixel."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """Format and damage of one sample."""

    name: str
    width_px: int
    height_px: int
    rate_hz: int
    shown_slots: tuple[int, ...]
    """Which ticks of 1 / `rate_hz` s hold a frame; a gap is a frame the camera dropped."""
    blur_sigma_px: float
    """Lens and sensor blur, in sample pixels."""
    noise_sigma: float
    """Sensor noise in 8-bit levels."""
    crf: int
    """x264's constant rate factor of the sample."""
    reference_crf: int
    """x265's constant rate factor of the reference."""
    b_frames: int
    keyframe_interval: int
    """Frames from one keyframe to the next."""
    seed: int

    @property
    def frame_count(self) -> int:
        """Frames in the sample, and in its reference."""
        return len(self.shown_slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person: the clip's frames that show them and their way through the picture."""

    name: str
    clip: str
    split: str
    """`val` where AMINet never saw this face in training, else `train`."""
    first_frame: int
    last_frame: int
    hold: int = 1
    """How many ticks of the sample each clip frame is shown for; short clips are slowed down."""
    scale: float
    """Reference pixels per clip pixel."""
    nose_px: Point
    """Where the nose is in the first frame, in sample pixels."""
    velocity_px_s: Point = (0.0, 0.0)
    """Steady walk, in sample pixels a second."""
    sway_px: Point = (0.0, 0.0)
    """Amplitude of the sideways sway and of the bob of the steps, in sample pixels."""
    phase_rad: float = 0.0
    gain_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Colour gain that brings the clip into the scene's light."""
    nose_clip_px: Point
    """About where the nose is in the first clip frame: tells this face from others in the clip."""
    head_polygon_px: tuple[Point, ...] = field(default=(), repr=False)
    """Rough outline of the head in clip pixels relative to the nose; moves with the head."""
    body_polygon_px: tuple[Point, ...] = field(default=(), repr=False)
    """Rough outline of the body in clip pixels; still."""

    def clip_frame(self, slot: int) -> int:
        """The clip's frame shown at tick `slot`: to and fro, so that nothing ever jumps."""
        count = self.last_frame - self.first_frame + 1
        if count == 1:
            return self.first_frame
        step = (slot // self.hold) % (2 * count - 2)
        return self.first_frame + (step if step < count else 2 * count - 2 - step)

    def place_px(self, time_s: float) -> Point:
        """Where the first frame's nose has moved to at `time_s`, in sample pixels."""
        sway = math.sin(2 * math.pi * 0.45 * time_s + self.phase_rad)
        bob = abs(math.sin(2 * math.pi * 0.9 * time_s + self.phase_rad))
        return (
            self.nose_px[0] + self.velocity_px_s[0] * time_s + self.sway_px[0] * sway,
            self.nose_px[1] + self.velocity_px_s[1] * time_s + self.sway_px[1] * bob,
        )


STREET_VIDEO = Video(
    name="street",
    width_px=640,
    height_px=360,
    rate_hz=15,
    shown_slots=tuple(range(60)),
    blur_sigma_px=0.7,
    noise_sigma=4.0,
    crf=30,
    reference_crf=20,
    b_frames=0,
    keyframe_interval=30,
    seed=11,
)

BEANIE_WOMAN = Person(
    name="woman_beanie",
    clip="clip_woman_beanie",
    split="val",
    first_frame=0,
    last_frame=4,
    hold=4,
    scale=0.52,
    nose_px=(316.0, 197.0),
    velocity_px_s=(2.5, 0.0),
    sway_px=(0.8, 0.8),
    gain_rgb=(0.80, 0.77, 0.78),
    nose_clip_px=(168, 135),
    head_polygon_px=(
        (-13, -63), (22, -63), (47, -50), (58, -25), (58, 5), (54, 45), (47, 57),
        (-28, 57), (-50, 50), (-48, 25), (-40, -5), (-43, -30), (-33, -53),
    ),
    body_polygon_px=(
        (125, 195), (215, 192), (250, 215), (270, 245), (268, 290), (230, 318), (215, 326),
        (110, 326), (72, 300), (72, 260), (85, 220),
    ),
)  # fmt: skip

TRAM_WOMAN = Person(
    name="woman_tram",
    clip="clip_woman_tram",
    split="val",
    first_frame=67,
    last_frame=70,
    hold=5,
    scale=0.90,
    nose_px=(436.0, 158.0),
    velocity_px_s=(-4.0, 1.5),
    sway_px=(1.5, 1.5),
    phase_rad=1.0,
    gain_rgb=(1.08, 1.05, 1.02),
    nose_clip_px=(183, 136),
    head_polygon_px=(
        (13, -78), (30, -70), (40, -45), (44, 0), (38, 36), (-17, 40), (-45, 52), (-72, 78),
        (-92, 90), (-98, 72), (-75, 38), (-48, 0), (-30, -32), (-15, -60),
    ),
    body_polygon_px=(
        (120, 182), (150, 172), (215, 172), (237, 182), (256, 203), (268, 255), (282, 330),
        (285, 350), (55, 350), (62, 300), (75, 250), (88, 215), (105, 190),
    ),
)  # fmt: skip

SUNGLASSES_MAN = Person(
    name="man_sunglasses",
    clip="clip_man_sunglasses",
    split="val",
    first_frame=48,
    last_frame=57,
    hold=3,
    scale=0.57,
    nose_px=(206.0, 176.0),
    velocity_px_s=(5.0, 0.5),
    sway_px=(1.2, 1.2),
    phase_rad=2.2,
    gain_rgb=(0.82, 0.79, 0.76),
    nose_clip_px=(167, 113),
    head_polygon_px=(
        (-17, -86), (8, -89), (38, -76), (55, -54), (62, -28), (56, 0), (52, 38), (48, 62),
        (-17, 65), (-22, 52), (-42, 32), (-60, 16), (-68, -8), (-68, -38), (-60, -58), (-42, -76),
    ),
    body_polygon_px=(
        (150, 175), (215, 175), (240, 190), (290, 212), (318, 235), (330, 280), (340, 350),
        (10, 350), (20, 290), (35, 245), (55, 225), (100, 205), (135, 185),
    ),
)  # fmt: skip

TUXEDO_MAN = Person(
    name="man_tuxedo",
    clip="clip_man_shouting",
    split="train",
    first_frame=0,
    last_frame=59,
    scale=1.18,
    nose_px=(608.0, 244.0),
    sway_px=(0.0, 1.0),
    gain_rgb=(0.93, 1.05, 1.06),
    nose_clip_px=(299, 136),
    head_polygon_px=(
        (-26, -46), (-18, -74), (8, -84), (34, -78), (50, -55), (52, -10), (40, 6), (30, 48),
        (5, 52), (-10, 40), (-18, 14),
    ),
    body_polygon_px=(
        (350, 148), (350, 328), (205, 328), (212, 250), (222, 185), (255, 172), (282, 160),
        (300, 150), (330, 142),
    ),
)  # fmt: skip

WINDOW_WOMAN = Person(
    name="woman_window",
    clip="clip_woman_window",
    split="val",
    first_frame=0,
    last_frame=59,
    scale=1.0,
    nose_px=(52.0, 268.0),
    velocity_px_s=(0.5, -1.5),
    sway_px=(1.5, 0.8),
    phase_rad=3.3,
    gain_rgb=(1.30, 1.36, 1.45),
    nose_clip_px=(112, 167),
    head_polygon_px=(
        (-112, -40), (-109, -85), (-89, -112), (-64, -125), (-34, -131), (-2, -127), (20, -116),
        (37, -95), (45, -68), (45, -42), (35, -20), (25, -4), (21, 15), (15, 33), (-20, 50),
        (-66, 35), (-87, 3),
    ),
    body_polygon_px=(
        (0, 238), (45, 208), (60, 180), (103, 195), (106, 223), (150, 241), (185, 255), (198, 275),
        (205, 300), (212, 350), (0, 350),
    ),
)  # fmt: skip

STREET = (STREET_VIDEO, (BEANIE_WOMAN, TRAM_WOMAN, SUNGLASSES_MAN, TUXEDO_MAN, WINDOW_WOMAN))
"""A wide shot of a street at night. People from far to near: that is the order of painting."""

PORTRAIT = (
    Video(
        name="portrait",
        width_px=320,
        height_px=240,
        rate_hz=20,
        # A webcam in poor light drops a frame now and then: variable frame rate.
        shown_slots=tuple(slot for slot in range(84) if slot not in (23, 24, 50, 71)),
        blur_sigma_px=1.2,
        noise_sigma=4.5,
        crf=29,
        reference_crf=18,
        b_frames=3,
        keyframe_interval=40,
        seed=23,
    ),
    (
        Person(
            name="woman_window",
            clip="clip_woman_window",
            split="val",
            first_frame=0,
            last_frame=87,
            scale=1.6,
            nose_px=(85.0, 120.0),
            gain_rgb=(1.25, 1.27, 1.30),
            nose_clip_px=(112, 167),
        ),
    ),
)
"""A close shot by a hand-held camera: one person, the clip's own background."""
