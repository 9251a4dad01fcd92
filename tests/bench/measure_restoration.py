"""What restoring gains, end to end, on composites: `python -m tests.bench.measure_restoration`.

    python -m tests.bench.measure_restoration MEDIA_DIR OUT_DIR [--frames 30] [--weights aminet]
        [--scales 1 2] [--blurs 0 0.5 1] [--set NODE.KEY=VALUE]

People whom AMINet never saw stand in a scene composed at twice the size, which is halved, softened,
made noisy and put through H.264 (CRF 28). The program restores it, and `pipeline.quality.measure`
compares with the scene at the output's size, by the truth's own places. Writes `restoration.json`,
and `restoration.png` with gain and flicker over eye distance when matplotlib is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from PIL import Image, ImageFilter

import pipeline
from pipeline.quality.faces import SeenFace
from pipeline.quality.measure import measure_video
from tests.bench.composites import RATE, Actor, Clip, Shot, backdrop, compose, load_clip

PEOPLE: Final = ("woman_tram", "man_sunglasses", "woman_window", "woman_beanie")
"""The people of the media folder that are kept back from training."""
SIZE_PX: Final = (960, 540)
EYES_PX: Final = ((8.0, 11.0, 14.0, 18.0), (26.0, 16.0, 22.0, 12.0), (30.0, 24.0, 9.0, 20.0))
"""Distances between the eyes in the source, by scene and person."""
WALK_PX_S: Final = (0.0, 12.0, 60.0)
"""How fast the people of each scene go, in source pixels."""


def scene(clips: list[Clip], number: int, frames: int) -> Shot:
    """Place the people of one scene, at the reference's size."""
    width, height = (2 * side for side in SIZE_PX)
    actors: list[Actor] = []
    for place, (clip, eyes_px) in enumerate(zip(clips, EYES_PX[number], strict=True)):
        own_px = np.median([np.hypot(*(f.points_px[1] - f.points_px[0])) for f in clip.faces])
        x, y = width * (place + 0.5) / len(clips), height * (0.3 + 0.15 * (place % 2))
        seconds = frames / RATE
        way = ((0.0, x, y), (seconds, x + 2 * WALK_PX_S[number] * seconds, y))
        face_px = float(2 * eyes_px * clip.face_px / own_px)
        actors.append(Actor(f"{number}.{clip.name}", clip, face_px, way))
    return Shot(backdrop(width, height, number), tuple(actors), frames)


def film(
    shot: Shot, folder: Path, name: str, scale: int, blur_px: float
) -> tuple[Path, Path, list[list[SeenFace]]]:
    """Write the source and the reference; return them, and where the faces are.

    Args:
        shot: the scene, at twice the source's size.
        folder: where to.
        name: of the files.
        scale: size of the reference in sizes of the source, 1 or 2.
        blur_px: standard deviation of the lens blur, source pixels.
    """
    rng = np.random.default_rng(len(name))
    sharp, poor, faces = list[Image.Image](), list[Image.Image](), list[list[SeenFace]]()
    for index in range(shot.frames):
        picture, true = compose(shot, index)
        sharp.append(picture if scale == 2 else picture.reduce(2))
        lens = ImageFilter.GaussianBlur(blur_px)
        soft = np.asarray(picture.reduce(2).filter(lens), np.float64)
        noisy = soft + rng.normal(0, 2, (*soft.shape[:2], 1))
        poor.append(Image.fromarray(np.clip(noisy.round(), 0, 255).astype(np.uint8)))
        faces.append([])
        for face in true:
            x0, y0, x1, y1 = (side / 2 for side in face.box_xyxy_px)
            faces[-1].append(SeenFace(face.name, (x0, y0, x1, y1), face.points_px / 2))
    source, reference = folder / f"{name}.mkv", folder / f"{name}_reference.mkv"
    write(poor, source, 28)
    write(sharp, reference, 8)
    return source, reference, faces


def write(pictures: list[Image.Image], path: Path, crf: int) -> None:
    """Encode pictures as H.264."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def measure(
    media: Path, folder: Path, frames: int, scale: int, blur_px: float, settings: Sequence[str]
) -> list[dict[str, Any]]:
    """Restore all scenes of one scale and blur; return one row a face."""
    clips = [load_clip(media / f"clip_{name}.mp4") for name in PEOPLE]
    rows: list[dict[str, Any]] = []
    for number in range(len(EYES_PX)):
        name = f"scene{number}"
        source, reference, faces = film(scene(clips, number, frames), folder, name, scale, blur_px)
        output = folder / f"{name}_restored.mkv"
        pipeline.enhance(
            source,
            output,
            scale=scale,
            runner="local",
            settings=("encode.codec=ffv1", *settings),
            overwrite=True,
        )
        quality = measure_video(source, output, faces, reference)
        conditions = {"scale": scale, "blur_px": blur_px}
        rows += [
            conditions | asdict(track) | {"gain_db": track.gain_db} for track in quality.tracks
        ]
    return sorted(rows, key=lambda row: row["eye_distance_px"])


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw gain and flicker over eye distance."""
    from matplotlib import pyplot as plt

    figure, both = plt.subplots(2, 1, figsize=(6, 5), sharex=True)
    eyes = [row["eye_distance_px"] for row in rows]
    labels = {"gain_db": "PSNR over enlarging, dB", "flicker": "flicker over source"}
    for axes, (key, label) in zip(both, labels.items(), strict=True):
        axes.plot(eyes, [row[key] for row in rows], "o")
        axes.axhline(0 if key == "gain_db" else 1, color="grey", lw=1)
        axes.set_ylabel(label)
        axes.grid(alpha=0.4)
    own = [row["reference_flicker"] for row in rows]
    both[1].plot(eyes, own, "_", color="grey", label="the reference's own")
    both[1].legend()
    both[1].set_xlabel("distance between the eyes in the source, px")
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--weights", default="aminet")
    parser.add_argument("--scales", type=int, nargs="+", choices=(1, 2), default=[2])
    parser.add_argument("--blurs", type=float, nargs="+", default=[0.5])
    parser.add_argument("--set", dest="settings", action="append", default=[])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = (f"params.weights={arguments.weights}", *arguments.settings)
    rows: list[dict[str, Any]] = []
    for scale, blur_px in product(arguments.scales, arguments.blurs):
        made = measure(arguments.media, arguments.out, arguments.frames, scale, blur_px, settings)
        rows += made
        say(f"scale {scale}, blur {blur_px:g} px: {summary(made)}")
        for row in made:
            say(
                f"{row['name']:>24} eyes {row['eye_distance_px']:5.1f} px"
                f" gain {row['gain_db']:+.2f} dB flicker {row['flicker']:.2f}"
                f" (the reference's own {row['reference_flicker']:.2f})"
                f" agrees {row['consistency_db']:.1f} dB"
            )
    text = json.dumps(rows, indent=2)
    (arguments.out / "restoration.json").write_text(text + "\n", encoding="utf-8")
    plot(rows, arguments.out / "restoration.png")


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Say the mean and worst gain and the flicker of some rows."""
    gains, flickers = ([row[key] for row in rows] for key in ("gain_db", "flicker"))
    return (
        f"mean gain {np.mean(gains):+.2f} dB, least {min(gains):+.2f} dB,"
        f" mean flicker {np.mean(flickers):.2f}, most {max(flickers):.2f}"
    )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
