"""What limits restoration on films: `python -m tests.bench.fit_strength MEDIA_DIR OUT.json`.

    python -m tests.bench.fit_strength MEDIA_DIR OUT.json [--weights aminet] [--people training]

Films as those of `tests.bench.measure_restoration`, of people who were trained on by default,
because settings are chosen by it. For each face and tolerance of back-projection it computes the
gain over plain enlargement at several strengths, in closed form: adding the share s of a residual r
where t is missing leaves the error t^2 - 2 s r t + s^2 r^2. "Best" is the best strength between 0
and 1.2 for each face, which no rule can know: what it gains over the strength in use is what the
gates and the strength cost, and what it lacks is the network's. Without `steady`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

import nodes.enhance.back_projection as projection
from aminet.model_files import read_file
from nodes.crop import Crop, CropConfig
from nodes.enhance import Enhance, EnhanceConfig
from nodes.fuse import Fuse, FuseConfig
from nodes.geometry.alignment import compose, face_oval_on_grid, scaling
from nodes.node import Inputs, Segment
from nodes.track import Track, TrackConfig
from nodes.types import (
    FacePatch,
    Frame,
    FrameFaces,
    FramePatches,
    FrameRestored,
    FusedPatches,
)
from tests.bench.composites import compose as composed
from tests.bench.composites import encoded, load_clip
from tests.bench.measure_restoration import PEOPLE, scene
from tests.support.faces import info_of

TRAINING: Final = ("boy_cap", "driver", "man_shouting", "woman_beige")
"""People of the media folder who were trained on."""
FRAMES: Final = 12
LOOKED_AT: Final = (7, 11)
"""The frames that are restored: histories are as long as they get."""
BLURS_PX: Final = (0.0, 0.5, 1.0)
CRFS: Final = (18, 22, 28, 34)
SCALES: Final = (1, 2)
SHARES: Final = (0.7, 0.85, 1.0)
TOLERANCES: Final = (0.008, 0.012, 0.016)
NOISE: Final = 2.0
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_SEGMENT: Final = Segment("film.mkv", Path(), 1)
Rgb = npt.NDArray[np.uint8]


def films(clips: Sequence[Any]) -> Iterator[tuple[dict[str, Any], list[Frame], list[Rgb]]]:
    """Yield each film, and its pictures at twice the size."""
    for number in range(3):
        shot = scene(list(clips), number, FRAMES)
        large = [composed(shot, index)[0] for index in range(FRAMES)]
        for blur_px in BLURS_PX:
            rng, poor = np.random.default_rng(1), list[Image.Image]()
            for picture in large:
                lens = ImageFilter.GaussianBlur(blur_px)
                soft = np.asarray(picture.reduce(2).filter(lens), np.float64)
                noisy = soft + rng.normal(0, NOISE, (*soft.shape[:2], 1))
                poor.append(Image.fromarray(np.clip(noisy.round(), 0, 255).astype(np.uint8)))
            for crf in CRFS:
                what = {"scene": number, "blur_px": blur_px, "crf": crf}
                yield what, encoded(poor, crf), [np.asarray(each, np.uint8) for each in large]


def followed(frames: Sequence[Frame]) -> list[FrameFaces]:
    """Track the faces of a film."""
    track = Track(TrackConfig())
    track.prepare(lambda _: None)
    track.setup(1)
    track.open(_SEGMENT, {"frames": info_of(frames[0])})
    packets = [track.process(Inputs({"frames": frame}))["faces"] for frame in frames]
    track.close()
    return [packet for packet in packets if isinstance(packet, FrameFaces)]


def cut(
    frames: Sequence[Frame], faces: Sequence[FrameFaces], scale: int
) -> list[tuple[FacePatch, ...]]:
    """Cut out and fuse the faces of all frames; sharp ones have the strength 0."""
    info = replace(info_of(frames[0]), codec_name="h264")
    kept, gated = (
        Crop(CropConfig(scale=scale, min_detail=0, min_blur_px=least))
        for least in (0.0, CropConfig().min_blur_px)
    )
    fuse = Fuse(FuseConfig())
    fuse.setup(1)
    for node in (kept, gated):
        node.open(_SEGMENT, {"frames": info, "faces": info})
    fuse.open(_SEGMENT, {"patches": info})
    found: list[tuple[FacePatch, ...]] = []
    for frame, seen in zip(frames, faces, strict=True):
        inputs = Inputs({"frames": frame, "faces": seen})
        every, worth = kept.process(inputs)["patches"], gated.process(inputs)["patches"]
        assert isinstance(every, FramePatches)
        assert isinstance(worth, FramePatches)
        strengths = {patch.track_id: patch.strength for patch in worth.patches}
        fused = fuse.process(Inputs({"patches": every}))["patches"]
        assert isinstance(fused, FusedPatches)
        found.append(
            tuple(replace(p, strength=strengths.get(p.track_id, 0.0)) for p in fused.patches)
        )
    return found


def missing(patch: FacePatch, truth: Rgb) -> tuple[npt.NDArray[np.float32], Any]:
    """Return what plain enlargement lacks of the true luma, and the face's mask."""
    x0, y0, x1, y1 = (side * patch.scale for side in patch.region_xyxy_px)
    size = (x1 - x0, y1 - y0)
    plain = Image.fromarray(patch.rgb).resize(size, Image.Resampling.LANCZOS)
    square = compose(scaling(1 / patch.size_px), patch.crop_from_region)
    on_grid = compose(square, scaling(1 / patch.scale))
    inside = face_oval_on_grid(on_grid, (y1 - y0, x1 - x0), patch.yaw_deg) > 0
    lacks = truth[y0:y1, x0:x1].astype(np.float32) - np.asarray(plain, np.float32)
    return (lacks @ _LUMA / 255).astype(np.float32), inside


def gain_db(total: float, right: float, energy: float, share: float) -> float:
    """Return the gain of adding a share of a residual, from the mean products."""
    left = max(total - 2 * share * right + share**2 * energy, 1e-9)
    return round(float(10 * np.log10(total / left)), 3)


def rows_of(
    node: Enhance, patches: tuple[FacePatch, ...], truth: Rgb, what: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Restore the faces of a frame with each tolerance; yield one row for each of both."""
    for tolerance in TOLERANCES:
        projection.LOSSY_TOLERANCE = tolerance
        packet = Inputs({"patches": FramePatches(0, patches)})
        answer = node.process_batch([packet])[0]["restored"]
        assert isinstance(answer, FrameRestored)
        for patch, face in zip(patches, answer.patches, strict=True):
            lacks, inside = missing(patch, truth)
            made = (face.residual_rgb.astype(np.float32) @ _LUMA)[inside]
            lacked = lacks[inside]
            right, energy = float((made * lacked).mean()), float((made**2).mean())
            best = float(np.clip(right / max(energy, 1e-12), 0, 1.2))
            sums = float((lacked**2).mean()), right, energy
            yield what | {
                "tolerance": tolerance,
                "track": patch.track_id,
                "eyes_px": round(patch.eye_distance_px, 1),
                "blur_measured_px": round(patch.blur_px, 2),
                "strength": round(patch.strength, 2),
                "best_strength": round(best, 2),
                "gain_db": {str(share): gain_db(*sums, share) for share in SHARES}
                | {"used": gain_db(*sums, patch.strength), "best": gain_db(*sums, best)},
            }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Say the mean and worst gains, by film, scale and tolerance."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["scale"], row["blur_px"], row["crf"], row["tolerance"]].append(row)
    lines: list[str] = []
    for (scale, blur_px, crf, tolerance), group in sorted(groups.items()):
        shown = " ".join(
            f"{name} {np.mean(gains):+.2f} ({min(gains):+.2f})"
            for name in group[0]["gain_db"]
            for gains in ([row["gain_db"][name] for row in group],)
        )
        lines.append(
            f"scale {scale} blur {blur_px:3.1f} crf {crf} tolerance {tolerance:.3f}:"
            f" {len(group):3} faces, {shown}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default="aminet")
    parser.add_argument("--people", choices=("training", "validation"), default="training")
    arguments = parser.parse_args()
    people = TRAINING if arguments.people == "training" else PEOPLE
    clips = [load_clip(arguments.media / f"clip_{name}.mp4") for name in people]
    node = Enhance(EnhanceConfig(weights=arguments.weights, device="cpu"))
    node.prepare(read_file)
    node.setup(1)
    rows: list[dict[str, Any]] = []
    for what, frames, large in films(clips):
        faces = followed(frames)
        for scale in SCALES:
            packets = cut(frames, faces, scale)
            for index in LOOKED_AT:
                truth = large[index]
                if scale == 1:
                    truth = np.asarray(Image.fromarray(truth).reduce(2), np.uint8)
                rows += rows_of(node, packets[index], truth, what | {"scale": scale})
        arguments.out.write_text(json.dumps(rows) + "\n", encoding="utf-8")
        sys.stderr.write(".")
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
