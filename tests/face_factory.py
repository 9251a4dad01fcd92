"""Stand-ins for faces, painted in code, and a network small enough for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from aminet.network import AMINetConfig

TINY = AMINetConfig(width=8, depths=(1, 0, 0, 1), heads=(1, 2, 2, 2), stem_factor=4)


def paint_face(seed: int, side: int = 128) -> Image.Image:
    """Not a face, but smooth shapes with edges: enough to learn something from."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    picture = np.empty((side, side, 3))
    for c in range(3):
        a, b, p = rng.uniform(2, 9, 3)
        picture[..., c] = 0.5 + 0.3 * np.sin(a * x + b * y + p)
    for _ in range(6):
        cx, cy, r = *rng.uniform(0.2, 0.8, 2), rng.uniform(0.04, 0.15)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = rng.uniform(0, 1, 3)
    return Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))


def paint_folder(folder: Path, seeds: range, side: int = 128) -> Path:
    folder.mkdir(parents=True)
    for seed in seeds:
        paint_face(seed, side).save(folder / f"face{seed:03d}.png")
    return folder
