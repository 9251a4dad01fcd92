"""Runs every row and writes the table: `make conformance`.

With names of groups as arguments only their rows are run, and those sections replaced.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.conformance.checks import COLUMNS, Outcome, run_row
from tests.conformance.row import Row
from tests.conformance.rows import ROWS
from tests.support import ROOT

__all__ = ["TABLE", "main", "source_cell"]

TABLE = ROOT / "docs" / "conformance.md"

HEAD = """# Conformance

Made by `make conformance`; do not edit. Each row is a small synthetic video that is processed by
the whole program without the network, with default settings (codec and container are chosen for
the source) except `encode.copy=false`, and compared with the output. `test_conformance.py` takes
each through the program with copying, too, where the pictures of copied videos have to be equal.
In the last section packets are copied, and a node changes two of 30 frames, or none. Which frames
are copied is a part of "picture" there: they are equal to the source's, and all are the same from
each keyframe on, after a seek to it, and in a second decoder (VP9, AV1).

| column | "yes" means |
|---|---|
| frames | as many frames as the source has |
| times | every frame at its own time, exactly |
| picture | pixel format and bit depth kept, every frame within 36 dB of the source's |
| shape | size, pixel aspect ratio, rotation (the whole display matrix), fields and their order |
| streams | every packet of every other stream byte for byte, at its distance from the video |
| tags | colour matrix, range, primaries, transfer; chapters; metadata; the expected codec |

"no" means that the output format cannot hold it; the last column gives the reason. "refused" means
that the run fails before it starts, with the message shown and exit code 2 (3 for an unreadable
file).
"""

TITLES = {
    "codecs": "Codecs and containers",
    "timing": "Timing",
    "pictures": "Pixel formats, depth, colour",
    "shape": "Shape: size, aspect, rotation, fields",
    "streams": "Sound, text and everything else",
    "damage": "Damage",
    "copying": "Copying",
}


def source_cell(row: Row) -> str:
    """Return the first two cells of a row."""
    return f"| {row.name} | {Path(row.source).suffix} |"


def _line(row: Row, outcome: Outcome, folder: Path) -> tuple[str, bool]:
    """Return a row of the table, and whether it is as expected."""
    if row.refused is not None:
        good = outcome.error is not None
        message = (outcome.error or "not refused").replace(f"{folder}/", "").replace("|", "/")
        return f"{source_cell(row)} {row.target or ''} | refused |{' |' * 6} `{message}` |", good
    good = outcome.error is None and set(outcome.failed) == set(row.differs)
    marks = " | ".join("no" if column in outcome.failed else "yes" for column in COLUMNS)
    reasons = [row.differs.get(c, f"UNEXPECTED: {what}") for c, what in outcome.failed.items()]
    remark = outcome.error or "; ".join(dict.fromkeys(reasons))
    where = f"{outcome.target} | {outcome.codec}"
    return f"{source_cell(row)} {where} | {marks} | {remark} |", good


def _section(group: str, rows: Sequence[Row]) -> tuple[str, int]:
    """Run a group's rows; return its part of the table, and how many are not as expected."""
    columns = ["source", "in", "out", "codec", *COLUMNS, "remark"]
    lines = [f"## {TITLES[group]}\n", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    wrong = 0
    for row in rows:
        with tempfile.TemporaryDirectory() as place:
            line, good = _line(
                row, run_row(row, Path(place), copies=row.changed is not None), Path(place)
            )
        wrong += not good
        lines.append(line)
    return "\n".join([*lines, ""]), wrong


def _kept(group: str) -> tuple[str, int]:
    """Return a group's part of the table as it is, and how many rows are not as expected."""
    text = TABLE.read_text(encoding="utf-8")
    start = text.index(f"## {TITLES[group]}\n")
    body = text[start:].split("\n\n## ")[0].partition("\n\n")
    table = body[2].partition("\n\n")[0]
    return f"{body[0]}\n\n{table}\n", table.count("UNEXPECTED")


def main(groups: Sequence[str] = ()) -> int:
    """Print the table, write it, and return how many rows are not as expected.

    Args:
        groups: the groups of which to run the rows; none: all.
    """
    logging.disable(logging.WARNING)
    parts, wrong = [HEAD], 0
    for group, rows in groupby(ROWS, key=lambda row: row.group):
        again = not groups or group in groups
        part, bad = _section(group, list(rows)) if again else _kept(group)
        parts.append(part)
        wrong += bad
    parts.append(f"{len(ROWS)} rows, {wrong} not as expected.")
    table = "\n".join(parts) + "\n"
    sys.stdout.write(table)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table, encoding="utf-8")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
