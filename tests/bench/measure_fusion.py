"""What the mean of several frames is worth and costs: `python -m tests.bench.measure_fusion`.

    python -m tests.bench.measure_fusion MEDIA_DIR OUT.json [--frames 36]

People speak, turn, walk and stand in small, noisy films, which go through H.264. The nodes follow
and fuse their faces. One frame and the mean of several are compared with the picture before noise
and compression, on the face's oval. The times are the CPU's for one face in one frame, on one
thread: the median, and the fastest twentieth.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from nodes.crop import Crop, CropConfig
from nodes.fuse import Fuse, FuseConfig
from nodes.geometry.alignment import compose, face_oval_on_grid, scaling
from nodes.node import Inputs, Segment
from nodes.track import Track, TrackConfig
from nodes.types import ColorTags, FacePatch, Frame, FrameFaces, FramePatches, VideoInfo
from tests.bench.composites import RATE, Actor, Clip, Shot, backdrop, encoded, load_clip
from tests.bench.composites import compose as composed
from tests.support.faces import info_of

PEOPLE: Final = ("woman_tram", "man_sunglasses", "woman_window", "woman_beanie")
EYES_PX: Final = (10.0, 18.0, 26.0, 36.0)
SIZE_PX: Final = (960, 400)
SETTLED: Final = 8
"""Frames from which on a history is as long as it gets."""


@dataclass(frozen=True, slots=True)
class Film:
    """How a film is made."""

    name: str
    crf: int
    noise: float
    walk_px_s: float
    still: bool = False


FILMS: Final = (
    Film("still, crf 28", 28, 3, 0, still=True),
    Film("speaking, crf 22", 22, 3, 0),
    Film("speaking, crf 28", 28, 3, 0),
    Film("speaking, crf 34", 34, 3, 0),
    Film("walking, crf 28", 28, 3, 40),
    Film("noisy, crf 24", 24, 8, 10),
)


def shot(film: Film, clips: Sequence[Clip], frames: int) -> Shot:
    """Place one person of each size."""
    width, height = SIZE_PX
    actors: list[Actor] = []
    for place, (clip, eyes_px) in enumerate(zip(clips, EYES_PX, strict=True)):
        own_px = np.median([np.hypot(*(f.points_px[1] - f.points_px[0])) for f in clip.faces])
        x, y = width * (place + 0.5) / len(clips) - 40, height * 0.42
        seconds = frames / RATE
        way = ((0.0, x, y), (seconds, x + film.walk_px_s * seconds, y + 0.2 * film.walk_px_s))
        face_px = float(eyes_px * clip.face_px / own_px)
        actors.append(Actor(clip.name, clip, face_px, way, still=film.still))
    return Shot(backdrop(width, height, 3), tuple(actors), frames)


def filmed(film: Film, clips: Sequence[Clip], frames: int) -> tuple[list[Image.Image], list[Frame]]:
    """Return the clean pictures and what the camera makes of them."""
    scene, rng = shot(film, clips, frames), np.random.default_rng(1)
    clean = [composed(scene, index)[0] for index in range(frames)]
    poor: list[Image.Image] = []
    for picture in clean:
        noisy = np.asarray(picture, np.float64) + rng.normal(
            0, film.noise, (picture.height, picture.width, 1)
        )
        poor.append(Image.fromarray(np.clip(noisy.round(), 0, 255).astype(np.uint8)))
    return clean, encoded(poor, film.crf)


def cut(frames: Sequence[Frame], scale: int = 1) -> list[FramePatches]:
    """Follow and cut out the faces of a film."""
    segment, info = Segment("film.mkv", Path(), 1), info_of(frames[0])
    track, crop = Track(TrackConfig()), Crop(CropConfig(min_detail=0, scale=scale))
    track.prepare(lambda _: None)
    track.setup(1)
    track.open(segment, {"frames": info})
    crop.open(segment, {"frames": info, "faces": info})
    packets: list[FramePatches] = []
    for frame in frames:
        faces = track.process(Inputs({"frames": frame}))["faces"]
        assert isinstance(faces, FrameFaces)
        patches = crop.process(Inputs({"frames": frame, "faces": faces}))["patches"]
        assert isinstance(patches, FramePatches)
        packets.append(patches)
    track.close()
    crop.close()
    return packets


def fused(packets: Sequence[FramePatches], frames: int) -> Iterator[tuple[int, FacePatch, float]]:
    """Fuse each face on its own; give the frame's number, the face, and the time in ms."""
    numbers = sorted({patch.track_id for packet in packets for patch in packet.patches})
    time_base = Fraction(1, RATE)
    for number in numbers:
        node = Fuse(FuseConfig(frames=frames))
        node.setup(1)
        info = VideoInfo(1, 1, "", time_base, time_base, time_base, 0, ColorTags(), "", 8)
        node.open(Segment("film.mkv", Path(), 1), {"patches": info})
        for packet in packets:
            own = tuple(patch for patch in packet.patches if patch.track_id == number)
            start = time.thread_time()
            answer = node.process(Inputs({"patches": FramePatches(packet.pts, own)}))["patches"]
            elapsed_ms = 1000 * (time.thread_time() - start)
            assert isinstance(answer, FramePatches)
            for patch in answer.patches:
                yield packet.pts, patch, elapsed_ms
        node.close()


def errors(patch: FacePatch, clean: Image.Image) -> tuple[float, float, float]:
    """Return the mean squared error of one frame and of the mean, and the mean weight."""
    assert patch.history is not None
    x0, y0, x1, y1 = patch.region_xyxy_px
    truth = np.asarray(clean, np.float64)[y0:y1, x0:x1]
    square = compose(scaling(1 / patch.size_px), patch.crop_from_region)
    inside = face_oval_on_grid(square, patch.rgb.shape[:2], patch.yaw_deg) > 0.5
    luma = np.array([0.299, 0.587, 0.114])

    def error(rgb: npt.NDArray[Any]) -> float:
        return float((((rgb.astype(np.float64) - truth) @ luma)[inside] ** 2).mean())

    weight = float(patch.history.weight[inside].mean()) / 255
    finer = patch.history.finer
    return error(patch.rgb), error(patch.history.fused_rgb[::finer, ::finer]), weight


def rows_of(film: Film, clips: Sequence[Clip], frames: int, longest: Sequence[int]) -> list[Any]:
    """Measure one film; one row for a face and a length of history."""
    clean, coded = filmed(film, clips, frames)
    packets = cut(coded)
    rows: list[dict[str, Any]] = []
    for most in longest:
        seen: dict[int, list[tuple[float, ...]]] = {}
        for pts, patch, elapsed_ms in fused(packets, most):
            if pts >= SETTLED and patch.history is not None:
                row = (*errors(patch, clean[pts]), elapsed_ms, patch.eye_distance_px)
                seen.setdefault(patch.track_id, []).append(row)
        for values in seen.values():
            one, mean, weight, _, eyes_px = np.mean(values, axis=0)
            rows.append(
                {
                    "film": film.name,
                    "eyes_px": round(float(eyes_px), 1),
                    "most_frames": most,
                    "frames": len(values),
                    "one_frame_db": round(float(10 * np.log10(255**2 / one)), 2),
                    "gain_db": round(float(10 * np.log10(one / mean)), 2),
                    "weight": round(float(weight), 3),
                    **_times_ms(values),
                }
            )
    return sorted(rows, key=lambda row: (row["eyes_px"], row["most_frames"]))


def _times_ms(values: Sequence[tuple[float, ...]]) -> dict[str, float]:
    """Return the median time and that of the fastest twentieth, which other programs slow least."""
    median, fastest = np.percentile([value[3] for value in values], [50, 5])
    return {"ms": round(float(median), 2), "fastest_ms": round(float(fastest), 2)}


def main() -> None:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=36)
    parser.add_argument("--most", type=int, nargs="+", default=[7])
    arguments = parser.parse_args()
    clips = [load_clip(arguments.media / f"clip_{name}.mp4") for name in PEOPLE]
    rows: list[dict[str, Any]] = []
    for film in FILMS:
        rows += rows_of(film, clips, arguments.frames, arguments.most)
    arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        sys.stdout.write("  ".join(f"{key} {value}" for key, value in row.items()) + "\n")


if __name__ == "__main__":
    main()
