"""Reading folders of face pictures and their identities.

Supported layouts: a plain folder (searched recursively), the CelebA release (`identity_CelebA.txt`
and `list_eval_partition.txt` beside or above the pictures), Helen (a plain folder with one picture
per person), and a folder whose parent has a `MANIFEST.json` with `file`, `identity` and, for
pictures with padded edges, `size` and `valid_xyxy`, both in px.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from aminet.errors import DataError

__all__ = [
    "SUFFIXES",
    "WHOLE",
    "FacePicture",
    "Split",
    "by_identity",
    "centre_square",
    "check_size",
    "check_split",
    "list_pictures",
    "manifest_rows",
    "read_rgb",
    "read_square",
]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"})
Split = Literal["train", "val", "test"]
WHOLE: Final = (0.0, 0.0, 1.0, 1.0)
_CELEBA_SPLITS: dict[str, Split] = {"0": "train", "1": "val", "2": "test"}


@dataclass(frozen=True, slots=True)
class FacePicture:
    """One picture file and the person in it."""

    path: Path
    identity: str
    valid: tuple[float, float, float, float] = WHOLE
    """Left, top, right and bottom of the valid part, as shares of the side; the rest is padding."""


def list_pictures(folder: Path, split: Split | None = None) -> list[FacePicture]:
    """Return all pictures below a folder, sorted by path.

    Args:
        folder: searched recursively.
        split: keep only this part of CelebA's partition, where the folder has one.

    Raises:
        DataError: the folder does not exist or has no pictures.
    """
    if not folder.is_dir():
        raise DataError(
            f"no folder at {folder}; expected a folder of face pictures",
            path=str(folder),
        )
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    parts = _celeba_table(folder, "list_eval_partition.txt")
    if split is not None and parts:
        paths = [p for p in paths if _CELEBA_SPLITS.get(parts.get(p.name, "")) == split]
    if not paths:
        raise DataError(
            f"no pictures in {folder}; expected files ending in {', '.join(sorted(SUFFIXES))}",
            path=str(folder),
        )
    rows = manifest_rows(folder)
    people = _celeba_table(folder, "identity_CelebA.txt") or {
        name: f"id{row['identity']}" for name, row in rows.items() if "identity" in row
    }
    # Without a record every picture counts as another person, as in Helen and most plain folders.
    return [
        FacePicture(p, people.get(p.name, str(p.relative_to(folder))), _valid(rows.get(p.name, {})))
        for p in paths
    ]


def manifest_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of the `MANIFEST.json` above a folder, by file name; {} without one."""
    file = folder.parent / "MANIFEST.json"
    if not file.is_file():
        return {}
    rows = cast("list[dict[str, Any]]", json.loads(file.read_text()))
    return {str(row["file"]): row for row in rows}


def _valid(row: dict[str, Any]) -> tuple[float, float, float, float]:
    if "valid_xyxy" not in row:
        return WHOLE
    left, top, right, bottom = (float(v) / float(row["size"]) for v in row["valid_xyxy"])
    return left, top, right, bottom


def _celeba_table(folder: Path, name: str) -> dict[str, str]:
    for parent in (folder, folder.parent, folder / "Anno", folder.parent / "Anno"):
        file = parent / name
        if file.is_file():
            rows = (line.split() for line in file.read_text().splitlines())
            return {row[0]: row[1] for row in rows if len(row) == 2}
    return {}


def check_split(train: Iterable[FacePicture], val: Iterable[FacePicture]) -> None:
    """Check that no person is in both parts of a split.

    Raises:
        DataError: somebody is; the message names up to five.
    """
    train = list(train)
    people = {p.identity for p in train} & {p.identity for p in val}
    files = {p.path.resolve() for p in train} & {p.path.resolve() for p in val}
    if people or files:
        who = sorted(people | {f.name for f in files})
        raise DataError(
            f"{len(who)} identities are in both the training and the validation pictures "
            f"({', '.join(who[:5])}{' ...' if len(who) > 5 else ''}); scores would be "
            "flattering: move each person to one side"
        )


def by_identity(pictures: Sequence[FacePicture]) -> list[list[FacePicture]]:
    """Group by person, in order of first appearance."""
    groups: dict[str, list[FacePicture]] = defaultdict(list)
    for picture in pictures:
        groups[picture.identity].append(picture)
    return list(groups.values())


def read_rgb(path: Path) -> Image.Image:
    """Open a picture as RGB; grey becomes three equal channels.

    Raises:
        DataError: the file is not a readable picture.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"cannot read {path} as a picture: {error}", path=str(path)) from error


def centre_square(image: Image.Image) -> Image.Image:
    """Crop to the largest centred square: CelebA's 178x218 to 178x178, as in the face papers."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def read_square(path: Path, side: int) -> NDArray[np.uint8]:
    """Read a picture as (side, side, 3) uint8 RGB: centre square, then PIL's bicubic.

    Raises:
        DataError: the picture is unreadable or smaller than half of `side`.
    """
    image = centre_square(read_rgb(path))
    check_size(image, path, side // 2)
    if image.width != side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image)


def check_size(image: Image.Image, path: Path, smallest_px: int) -> None:
    """Check that a picture's shorter side is at least `smallest_px`.

    Raises:
        DataError: it is not.
    """
    if min(image.size) < smallest_px:
        raise DataError(
            f"{path} is {image.width}x{image.height} px; its shorter side must be at least "
            f"{smallest_px} px",
            path=str(path),
        )
