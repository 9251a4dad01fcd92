"""What each stage around the network costs, measured with an oracle in the network's place.

    python -m tests.bench.measure_stages FACES_DIR OUT.json [--people 8] [--weights aminet ...]

The oracle returns the true face, so all that is missing in the output is what the stages took: the
way into the square and back, the colour and light that stay the source's, the mask, back-projection
and the strength. Networks named with `--weights` go through the same stages. FACES_DIR holds
`idNUMBER_*.jpg`, aligned as the training crops are. PSNR of luma over the face's whole oval.

The identity network must leave every bit of the frame as it is, and the stages as taken apart here
must give what the node gives: both are checked, or the run ends with an error.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aminet import restorer
from nodes.crop import Crop, CropConfig
from nodes.enhance import Enhance, EnhanceConfig
from nodes.enhance.back_projection import back_project, tolerance
from nodes.enhance.warp import (
    align_patches,
    bucket_of,
    cut_to_regions,
    mask_residuals,
    own_detail,
    regions_of,
    unalign_residuals,
)
from nodes.fuse import Fuse, FuseConfig
from nodes.geometry.alignment import apply, compose, scaling, translation
from nodes.node import Inputs
from nodes.paste import Paste, PasteConfig
from nodes.steady import Steady, SteadyConfig
from nodes.types import FacePatch, Frame, FrameFaces, FramePatches, FrameRestored, RestoredPatch
from tests.bench.oracle_sources import (
    CODINGS,
    Coding,
    Condition,
    Luma,
    Scene,
    draw_scene,
    draw_track,
    list_people,
)
from tests.support.faces import frame_of, info_of, segment_in

CPU: Final = torch.device("cpu")
EYES_PX: Final = (10, 14, 20, 28, 40, 56)
SCALES: Final = (1, 2, 4)
LENSES_PX: Final = (0.0, 0.4, 0.6, 1.0)
CODECS: Final[dict[Coding, str]] = {"clean": "ffv1", "jpeg": "mjpeg", "h264": "h264"}
"""What the source is said to come from."""
TRACK_FRAMES: Final = 10
TRACK_EYES_PX: Final = (20,)
LARGEST_PX: Final = 56
"""Distance between the eyes in a crop of 256 px: larger references are not known."""
STAGES: Final = ("geometry", "light", "mask", "back-projection", "strength", "paste")
_RADII: Final = (52 / 128, 60 / 128)
_CENTRE: Final = (64 / 128, 66 / 128)

Restorer = Callable[[FacePatch, Tensor], Tensor]
"""From a patch and its square (3, S, S) to what is to be added to the square."""


def conditions(
    eyes_px: Sequence[int], codings: Sequence[Coding], lenses_px: Sequence[float]
) -> list[Condition]:
    """Return all that can be made of crops of 256 px, and lacks something."""
    every = itertools.starmap(Condition, itertools.product(eyes_px, SCALES, codings, lenses_px))
    return [
        c
        for c in every
        if c.eyes_px * c.scale <= LARGEST_PX and (c.scale > 1 or c.lens_px or c.coding != "clean")
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """One scene, and the nodes around the network."""

    scene: Scene
    condition: Condition
    frame: Frame
    patches: tuple[FacePatch, ...]
    plain: Luma
    """Of the enlarged source."""
    wanted: Luma
    inside: tuple[np.ndarray[Any, np.dtype[np.bool_]], ...]
    """Each face's oval in the output."""

    @classmethod
    def of(cls, scene: Scene, condition: Condition, index: int = 0) -> Bench:
        frame = frame_of(Image.fromarray(scene.source), index)
        patches = _cut(frame, CODECS[condition.coding], scene, condition.scale)
        plain = _pasted(frame, FrameRestored(frame.pts), condition.scale)
        wanted = frame_of(Image.fromarray(scene.reference))
        inside = tuple(_oval(patch, plain.picture.height, plain.picture.width) for patch in patches)
        return cls(scene, condition, frame, patches, _luma(plain), _luma(wanted), inside)

    def psnr_db(self, made: Luma) -> list[float]:
        """Compare a whole picture with the reference, face by face."""
        errors = np.square(np.clip(made, 0, 1) - self.wanted)
        return [float(-10 * np.log10(max(errors[oval].mean(), 1e-9))) for oval in self.inside]


def _cut(frame: Frame, codec_name: str, scene: Scene, scale: int) -> tuple[FacePatch, ...]:
    """Cut all faces; those that are gated out get the strength 0."""
    every = _patches(frame, codec_name, scene, CropConfig(scale=scale, min_detail=0, min_blur_px=0))
    if len(every) != len(scene.faces):
        raise RuntimeError(f"crop left out {len(scene.faces) - len(every)} faces")
    worth = _patches(frame, codec_name, scene, CropConfig(scale=scale, min_detail=0))
    strengths = {patch.track_id: patch.strength for patch in worth}
    return tuple(replace(each, strength=strengths.get(each.track_id, 0.0)) for each in every)


def _patches(
    frame: Frame, codec_name: str, scene: Scene, config: CropConfig
) -> tuple[FacePatch, ...]:
    node, info = Crop(config), replace(info_of(frame), codec_name=codec_name)
    with tempfile.TemporaryDirectory() as folder:
        node.open(segment_in(Path(folder)), {"frames": info, "faces": info})
        faces = FrameFaces(frame.pts, scene.faces)
        packet = node.process(Inputs({"frames": frame, "faces": faces}))["patches"]
    if not isinstance(packet, FramePatches):
        raise TypeError(f"crop gave {packet}")
    return packet.patches


def _pasted(frame: Frame, restored: FrameRestored, scale: int) -> Frame:
    node, info = Paste(PasteConfig()), info_of(frame)
    cut = replace(info, patch_scale=scale)
    with tempfile.TemporaryDirectory() as folder:
        node.open(segment_in(Path(folder)), {"frames": info, "restored": cut})
        made = node.process(Inputs({"frames": frame, "restored": restored}))["frames"]
    if not isinstance(made, Frame):
        raise TypeError(f"paste gave {made}")
    return made


def _luma(frame: Frame) -> Luma:
    plane = frame.picture.to_ndarray(format="yuv420p")[: frame.picture.height]
    return (plane.astype(np.float64) - 16) / 219


def _oval(patch: FacePatch, height: int, width: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the whole oval in the output, whatever the mask's feather is."""
    corner = translation(-patch.region_xyxy_px[0], -patch.region_xyxy_px[1])
    square = compose(scaling(1 / patch.size_px), compose(patch.crop_from_region, corner))
    y, x = np.mgrid[0:height, 0:width] + 0.5
    points = np.stack([x, y], axis=-1).reshape(-1, 2) / patch.scale
    across, down = (apply(square, points) - _CENTRE).T / np.array(_RADII)[:, None]
    return np.hypot(across, down).reshape(height, width) < 1


def oracle(bench: Bench) -> Restorer:
    """Return a network that knows the true faces."""

    def restore(patch: FacePatch, square: Tensor) -> Tensor:
        true = _reference_patch(patch, bench.scene)
        return align_patches([true], bucket_of(true), CPU)[0] - square

    return restore


def _reference_patch(patch: FacePatch, scene: Scene) -> FacePatch:
    x0, y0, x1, y1 = (side * patch.scale for side in patch.region_xyxy_px)
    transform = compose(patch.crop_from_region, scaling(1 / patch.scale))
    rgb = np.ascontiguousarray(scene.reference[y0:y1, x0:x1])
    return replace(patch, rgb=rgb, crop_from_region=transform, scale=1)


class _Oracle(Enhance):
    """The node with what it is told in place of a network's answer."""

    def __init__(self) -> None:
        super().__init__(EnhanceConfig(weights="oracle"))
        self._device = CPU
        self.answer = torch.zeros(())

    def residuals(self, aligned: Tensor) -> Tensor:
        return self.answer.expand_as(aligned)


def network(weights: str) -> Restorer:
    """Return a network that ships, or one of a file; a single frame is all it is told."""
    network = restorer.Restorer.load(weights, CPU)

    def restore(patch: FacePatch, square: Tensor) -> Tensor:
        del square
        faces = align_patches([patch], bucket_of(patch), CPU, with_history=True)
        return network.residual(faces)[0]

    return restore


def stages(bench: Bench, restore: Restorer) -> dict[str, list[float]]:
    """Return the PSNR of every face after each stage and all before it, and of the source."""
    made = {name: bench.plain.copy() for name in ("source", *STAGES[:-1])}
    node, scale = _Oracle(), bench.condition.scale
    through: list[RestoredPatch] = []
    for patch in bench.patches:
        one, bucket = [patch], bucket_of(patch)
        square = align_patches(one, bucket, CPU)
        residual = restore(patch, square[0])[None]
        masked = mask_residuals(residual, one)
        on_grid = unalign_residuals(masked, one, bucket)
        faithful, _ = back_project(
            on_grid,
            scale,
            regions_of(one, bucket, CPU),
            torch.tensor([patch.blur_px]),
            torch.tensor([tolerance(patch.strength, tight=not patch.lossy)]),
        )
        for name, added in (
            ("geometry", unalign_residuals(residual, one, bucket)),
            ("light", unalign_residuals(own_detail(residual, one), one, bucket)),
            ("mask", on_grid),
            ("back-projection", faithful),
            ("strength", faithful * patch.strength),
        ):
            _add(made[name], added, patch)
        node.answer = residual
        through += restored_by(node, (patch,)).patches
    made["paste"] = _luma(
        _pasted(bench.frame, FrameRestored(bench.frame.pts, tuple(through)), scale)
    )
    apart = float(np.abs(made["paste"].clip(0, 1) - made["strength"].clip(0, 1)).max())
    if apart > 2.5 / 219:
        raise RuntimeError(f"the stages taken apart differ from the node by {apart:.4f}")
    return {name: bench.psnr_db(picture) for name, picture in made.items()}


def _add(picture: Luma, on_grid: Tensor, patch: FacePatch) -> None:
    """Add a residual to the enlarged source, unrounded."""
    (residual,) = cut_to_regions(on_grid, [patch])
    x0, y0, x1, y1 = (side * patch.scale for side in patch.region_xyxy_px)
    added = picture[y0:y1, x0:x1] + residual.astype(np.float64) @ (0.299, 0.587, 0.114)
    picture[y0:y1, x0:x1] = added


def check_identity(bench: Bench) -> None:
    """Hold that a network that adds nothing changes no bit.

    Raises:
        RuntimeError: it does.
    """
    node = _Oracle()
    restored, scale = restored_by(node, bench.patches), bench.condition.scale
    made = _pasted(bench.frame, restored, scale).picture.to_ndarray()
    plain = _pasted(bench.frame, FrameRestored(0), scale).picture.to_ndarray()
    if not np.array_equal(made, plain):
        raise RuntimeError(f"adding nothing changes the picture: {bench.condition}")


def steadied(people: Sequence[Image.Image], condition: Condition) -> dict[str, list[float]]:
    """Return an oracle's PSNR in a track's last frame, with steady and without."""
    benches = [
        Bench.of(scene, condition, index)
        for index, scene in enumerate(draw_track(people, condition, TRACK_FRAMES))
    ]
    node, fuse, steady = _Oracle(), Fuse(FuseConfig(frames=1)), Steady(SteadyConfig())
    last, info = benches[-1], info_of(benches[-1].frame)
    made = {"source": last.plain}
    with tempfile.TemporaryDirectory() as folder:
        for each in (fuse, steady):
            each.open(segment_in(Path(folder)), {"patches": info, "restored": info})
    for bench in benches:
        cut = FramePatches(bench.frame.pts, bench.patches)
        fused = fuse.process(Inputs({"patches": cut}))["patches"]
        found: list[RestoredPatch] = []
        for patch in bench.patches:
            square = align_patches([patch], bucket_of(patch), CPU)[0]
            node.answer = oracle(bench)(patch, square)[None]
            found += restored_by(node, (patch,), bench.frame.pts).patches
        plain = FrameRestored(bench.frame.pts, tuple(found))
        steadied = steady.process(Inputs({"patches": fused, "restored": plain}))["restored"]
        if bench is last and isinstance(steadied, FrameRestored):
            for name, restored in (("paste", plain), ("steady", steadied)):
                made[name] = _luma(_pasted(bench.frame, restored, condition.scale))
    return {name: last.psnr_db(picture) for name, picture in made.items()}


def measure_tracks(
    people: Sequence[Image.Image], chosen: Sequence[Condition]
) -> list[dict[str, Any]]:
    """Return one row for each condition: what steady costs an oracle."""
    rows: list[dict[str, Any]] = []
    for condition in chosen:
        with torch.inference_mode():
            psnr = steadied(people, condition)
        rows.append(asdict(condition) | {"gain_db": _gains(psnr)})
    return rows


def _gains(psnr: dict[str, list[float]]) -> dict[str, list[float]]:
    before = np.array(psnr["source"])
    return {
        name: np.round(np.array(after) - before, 3).tolist()
        for name, after in psnr.items()
        if name != "source"
    }


def restored_by(node: Enhance, patches: tuple[FacePatch, ...], pts: int = 0) -> FrameRestored:
    """Run the node on the faces of one frame."""
    packet = node.process_batch([Inputs({"patches": FramePatches(pts, patches)})])[0]["restored"]
    if not isinstance(packet, FrameRestored):
        raise TypeError(f"enhance gave {packet}")
    return packet


def measure(
    people: Sequence[Image.Image], chosen: Sequence[Condition], weights: Sequence[str]
) -> list[dict[str, Any]]:
    """Return one row for each condition and network: gains of all faces, by stage."""
    restorers = {name: network(name) for name in weights}
    rows: list[dict[str, Any]] = []
    for condition in chosen:
        bench = Bench.of(draw_scene(people, condition), condition)
        check_identity(bench)
        for name, restore in {"oracle": oracle(bench), **restorers}.items():
            with torch.inference_mode():
                psnr = stages(bench, restore)
            rows.append(
                asdict(condition)
                | {"network": name, "source_db": psnr["source"], "gain_db": _gains(psnr)}
            )
        sys.stderr.write(".")
    return rows


def table(rows: Sequence[dict[str, Any]], key: str) -> str:
    """Say for each network and value of `key` what it gains after each stage, on average."""
    groups: dict[tuple[str, Any], list[dict[str, list[float]]]] = defaultdict(list)
    for row in rows:
        groups[row["network"], row[key]].append(row["gain_db"])
    lines = [
        f"{'network':<14} {key:<9}" + "".join(f"{name:>16}" for name in STAGES) + f"{'worst':>8}"
    ]
    for (name, value), gains in sorted(
        groups.items(), key=lambda item: (item[0][0], str(item[0][1]))
    ):
        means = [np.mean([np.mean(gain[stage]) for gain in gains]) for stage in STAGES]
        worst = min(min(gain[STAGES[-1]]) for gain in gains)
        shown = "".join(f"{mean:>+16.2f}" for mean in means)
        lines.append(f"{Path(name).stem[-14:]:<14} {value!s:<9}{shown}{worst:>+8.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--weights", nargs="*", default=[])
    parser.add_argument("--eyes", type=int, nargs="*", default=EYES_PX)
    parser.add_argument("--lenses", type=float, nargs="*", default=LENSES_PX)
    parser.add_argument("--codings", nargs="*", choices=CODINGS, default=CODINGS)
    arguments = parser.parse_args()
    # Of single faces; more threads mostly wait for each other.
    torch.set_num_threads(1)
    people = list_people(arguments.faces, arguments.people)
    chosen = conditions(arguments.eyes, arguments.codings, arguments.lenses)
    rows = measure(people, chosen, arguments.weights)
    tracks = measure_tracks(people, [c for c in chosen if c.eyes_px in TRACK_EYES_PX])
    text = json.dumps({"stages": rows, "tracks": tracks})
    arguments.out.write_text(text + "\n", encoding="utf-8")
    for key in ("coding", "lens_px", "scale", "eyes_px"):
        sys.stdout.write(table(rows, key) + "\n\n")
    for row in tracks:
        plain, steady = (float(np.mean(row["gain_db"][name])) for name in ("paste", "steady"))
        case = f"{row['coding']:<6} scale {row['scale']} lens {row['lens_px']}"
        sys.stdout.write(f"steady, oracle, {case}: {plain:+.2f} -> {steady:+.2f} dB\n")


if __name__ == "__main__":
    main()
