"""What earlier and later frames are worth to the network: `python -m tests.bench.measure_history`.

    python -m tests.bench.measure_history MEDIA_DIR OUT.json [--weights aminet] [--frames 18]

People whom AMINet never saw speak and walk in films at half size, with noise and H.264. Their
faces are followed, cut out, fused in several ways, restored at scale 2, and compared with the film
at full size: PSNR of luma on the oval, over plain enlargement, without `steady`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from aminet.model_files import read_file
from nodes.enhance import Enhance, EnhanceConfig
from nodes.fuse import Fuse, FuseConfig
from nodes.geometry.alignment import compose, face_oval_on_grid, scaling
from nodes.node import Inputs, Segment
from nodes.types import (
    ColorTags,
    FaceHistory,
    FacePatch,
    FramePatches,
    FrameRestored,
    FusedPatches,
    RgbImage,
    VideoInfo,
)
from tests.bench.composites import RATE, encoded, load_clip
from tests.bench.composites import compose as composed
from tests.bench.measure_fusion import cut
from tests.bench.measure_restoration import PEOPLE, SIZE_PX, scene

SCALE: Final = 2
SETTLED: Final = 8
"""Frames from which on a history is as long as it gets."""
EVERY: Final = 4
"""One frame in so many is restored."""
LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
Rgb = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Film:
    """How a film is made; the people of scene 0 stay where they are, those of 2 walk fastest."""

    scene: int
    blur_px: float
    noise: float
    crf: int


FILMS: Final = (Film(0, 0.5, 2, 28), Film(1, 0, 2, 22), Film(2, 0.5, 2, 28), Film(1, 0.3, 7, 24))
WAYS: Final[dict[str, tuple[int, int]]] = {
    "one frame": (0, 0),
    "6 before, on the source's grid": (6, 0),
    "6 before": (6, 0),
    "3 before, 3 after": (3, 3),
    "12 before": (12, 0),
}
"""How many frames before and after are fused."""


def filmed(
    film: Film, media: Path, frames: int
) -> tuple[list[FramePatches], list[npt.NDArray[np.uint8]]]:
    """Return the faces of a film, and its pictures at full size."""
    clips = [load_clip(media / f"clip_{name}.mp4") for name in PEOPLE]
    shot, rng = scene(clips, film.scene, frames), np.random.default_rng(1)
    large = [composed(shot, index)[0] for index in range(frames)]
    poor: list[Image.Image] = []
    for picture in large:
        soft = picture.reduce(SCALE).filter(ImageFilter.GaussianBlur(film.blur_px))
        noise = rng.normal(0, film.noise, (SIZE_PX[1], SIZE_PX[0], 1))
        noisy = np.clip((np.asarray(soft, np.float64) + noise).round(), 0, 255)
        poor.append(Image.fromarray(noisy.astype(np.uint8)))
    return cut(encoded(poor, film.crf), SCALE), [np.asarray(picture, np.uint8) for picture in large]


def fused(track: Sequence[FacePatch], at: int, before: int, after: int) -> FacePatch:
    """Return a face fused with its neighbours: those after it first, the nearest ones last."""
    later = track[at + 1 : at + 1 + after][::-1]
    order = [*later, *track[max(0, at - before) : at], track[at]]
    node = Fuse(FuseConfig(frames=max(1, before + after + 1)))
    node.setup(1)
    tick = Fraction(1, RATE)
    info = VideoInfo(1, 1, "", tick, tick, tick, 0, ColorTags(), "", 8)
    node.open(Segment("film.mkv", Path(), 1), {"patches": info})
    face = track[at]
    for pts, patch in enumerate(order):
        answer = node.process(Inputs({"patches": FramePatches(pts, (patch,))}))["patches"]
        assert isinstance(answer, FusedPatches)
        (face,) = answer.patches
    node.close()
    return face


def on_source_grid(face: FacePatch) -> FacePatch:
    """Return a face whose history is no finer than the source."""
    if face.history is None:
        return face
    finer = face.history.finer
    coarse: RgbImage = face.history.fused_rgb[::finer, ::finer]
    return replace(face, history=FaceHistory(coarse, face.history.weight))


def ways(track: Sequence[FacePatch], at: int) -> Iterator[tuple[str, FacePatch]]:
    """Yield a face fused in each way."""
    for name, (before, after) in WAYS.items():
        face = fused(track, at, before, after)
        yield name, on_source_grid(face) if "grid" in name else face


def gain_db(node: Enhance, face: FacePatch, truth: npt.NDArray[np.uint8]) -> float:
    """Return by how much a face is nearer to the truth than plain enlargement."""
    packet = Inputs({"patches": FramePatches(0, (face,))})
    answer = node.process_batch([packet])[0]["restored"]
    assert isinstance(answer, FrameRestored)
    x0, y0, x1, y1 = answer.patches[0].region_xyxy_px
    wanted = truth[y0:y1, x0:x1].astype(np.float32) / 255
    source = Image.fromarray(face.rgb)
    enlarged = source.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC)
    plain = np.asarray(enlarged, np.float32) / 255
    made = plain + face.strength * answer.patches[0].residual_rgb.astype(np.float32)
    square = compose(compose(scaling(1 / face.size_px), face.crop_from_region), scaling(1 / SCALE))
    oval = face_oval_on_grid(square, (y1 - y0, x1 - x0), face.yaw_deg) > 0.5

    def error(picture: Rgb) -> float:
        return float(np.square((np.clip(picture, 0, 1) - wanted) @ LUMA)[oval].mean())

    return float(10 * np.log10(error(plain) / error(made)))


def measure(film: Film, media: Path, frames: int, node: Enhance) -> dict[str, float]:
    """Return the mean gain of each way, dB."""
    packets, truth = filmed(film, media, frames)
    tracks: Mapping[int, list[tuple[int, FacePatch]]] = defaultdict(list)
    for packet in packets:
        for patch in packet.patches:
            tracks[patch.track_id].append((packet.pts, patch))
    gains: Mapping[str, list[float]] = defaultdict(list)
    for track in tracks.values():
        faces = [patch for _, patch in track]
        for at, (pts, _) in enumerate(track):
            if pts >= SETTLED and pts % EVERY == 1:
                for name, face in ways(faces, at):
                    gains[name].append(gain_db(node, face, truth[pts]))
    return {name: round(float(np.mean(values)), 3) for name, values in gains.items()}


def main() -> None:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default="aminet")
    parser.add_argument("--frames", type=int, default=18)
    arguments = parser.parse_args()
    node = Enhance(EnhanceConfig(weights=arguments.weights, device="cpu"))
    node.prepare(read_file)
    node.setup(1)
    rows: list[dict[str, Any]] = []
    for film in FILMS:
        rows.append(asdict(film) | measure(film, arguments.media, arguments.frames, node))
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
    arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
