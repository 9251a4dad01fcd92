"""The spectrum of sharp faces: `python -m tests.bench.fit_softness FACES_DIR [--people 24]`.

Draws training people at six sizes and through six lens blurs, and fits the three numbers of
`nodes.crop.softness` to the mean energies of their bands. Prints them, the worst deviation of a
mean, and how well `softness` then finds the blurs of each kind of source.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.optimize import minimize

from nodes.crop import softness as model
from nodes.geometry.alignment import WINDOW_FEATHER, crop_from_frame, face_oval_on_grid
from tests.bench.oracle_sources import CODINGS, Condition, draw_scene, list_people, luma_of

EYES_PX: Final = (10, 14, 20, 28, 40, 56)
BLURS_PX: Final = (0.0, 0.6, 1.0, 1.5, 2.2, 3.2)

Array = npt.NDArray[np.float64]
Drawn = list[tuple[Array, Array]]
"""Luma of a scene, and each face's mask."""


def drawn(people: Sequence[Image.Image], condition: Condition) -> Drawn:
    """Return luma and mask of every face."""
    scene = draw_scene(people, condition)
    luma = luma_of(scene.source)
    squares = [crop_from_frame(face.points_px, 1) for face in scene.faces]
    windows = [face_oval_on_grid(square, luma.shape, 0, WINDOW_FEATHER) for square in squares]
    return [(luma, window.astype(float)) for window in windows]


def mean_energies(people: Sequence[Image.Image]) -> dict[tuple[int, float], Array]:
    """Return the logarithms of the bands' energies, by eye distance and blur."""
    found: dict[tuple[int, float], Array] = {}
    for eyes_px in EYES_PX:
        for blur_px in BLURS_PX:
            faces = drawn(people, Condition(eyes_px, 1, "clean", blur_px))
            energies = [np.log(model.energies(luma, mask)) for luma, mask in faces]
            found[eyes_px, blur_px] = np.mean(energies, axis=0)
    return found


def deviations(numbers: Array, found: dict[tuple[int, float], Array]) -> list[Array]:
    """Return how far each mean is from the model, weighted as `softness` weights it."""
    off: list[Array] = []
    for (eyes_px, blur_px), seen in found.items():
        expected = np.log(model.expected(eyes_px, np.array([blur_px]), tuple(numbers.tolist()))[0])
        trust = model.trust(eyes_px)
        difference = seen - expected
        off.append(np.sqrt(trust) * (difference - (trust * difference).sum() / trust.sum()))
    return off


def main() -> None:
    """Fit, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("--people", type=int, default=24)
    arguments = parser.parse_args()
    people = list_people(arguments.faces, arguments.people)
    found = mean_energies(people)

    def cost(numbers: Array) -> float:
        return float(np.square(np.stack(deviations(numbers, found))).sum())

    best = np.asarray(minimize(cost, model.SPECTRUM, method="Nelder-Mead").x)
    worst = max(float(np.abs(off).max()) for off in deviations(best, found))
    sys.stdout.write(f"knee, power, pixel: {np.round(best, 3)}; worst mean off by {worst:.3f}\n")
    for coding in CODINGS:
        for blur_px in BLURS_PX:
            each = [
                model.softness(luma, mask, eyes_px).blur_px
                for eyes_px in EYES_PX
                for luma, mask in drawn(people[:8], Condition(eyes_px, 1, coding, blur_px))
            ]
            sys.stdout.write(
                f"{coding:<6} {blur_px:.1f}: {np.mean(each):.2f} +- {np.std(each):.2f}\n"
            )


if __name__ == "__main__":
    main()
