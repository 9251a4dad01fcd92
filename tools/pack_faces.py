"""Pack several folders of faces into one for training, small enough to travel.

Each source folder holds `train/`, `val/` and a `MANIFEST.json` with `file`, `split`, `identity`
and `size`. People of different folders are different people: their identities get the folder's
name in front.

    python -m tools.pack_faces shared/faces shared/faces2 --output data/people
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from PIL import Image

WEBP_QUALITY: Final = 92
"""Of 100; 2 700 faces of 128 to 256 px take 30 MiB."""
BLOCKY: Final = {"github:Hainish/congress-images-225x275@20531e9": 144}
"""Source -> side, px, that its pictures are reduced to: JPEG noise of quality 75 goes with it."""
SPLITS: Final = ("train", "val")


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    yield from cast("list[dict[str, Any]]", json.loads((folder / "MANIFEST.json").read_text()))


def pack(folders: list[Path], output: Path) -> int:
    """Write `output/train`, `output/val` and `output/MANIFEST.json`; returns the faces written."""
    rows: list[dict[str, Any]] = []
    for split in SPLITS:
        (output / split).mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for row in _rows(folder):
            name = f"{folder.name}_{Path(row['file']).stem}.webp"
            with Image.open(folder / row["split"] / row["file"]) as opened:
                face = opened.convert("RGB")
            side = BLOCKY.get(str(row["source"]), face.width)
            if side < face.width:
                face = face.resize((side, side), Image.Resampling.LANCZOS)
            face.save(output / row["split"] / name, quality=WEBP_QUALITY, method=4)
            rows.append({**row, "file": name, "identity": f"{folder.name}-{row['identity']}"})
    (output / "MANIFEST.json").write_text(json.dumps(rows))
    return len(rows)


def main() -> None:
    """Read the command line and pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    count = pack(arguments.folders, arguments.output)
    print(f"{count} faces in {arguments.output}")  # noqa: T201  a developers' tool


if __name__ == "__main__":
    main()
