"""Runs every row and writes the table: `make conformance`."""

from __future__ import annotations

import logging
import sys
import tempfile
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
the source), and compared with the output.

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


def main() -> int:
    """Print the table, write it, and return how many rows are not as expected."""
    logging.disable(logging.WARNING)
    lines, wrong = [HEAD], 0
    for group, rows in groupby(ROWS, key=lambda row: row.group):
        columns = ["source", "in", "out", "codec", *COLUMNS, "remark"]
        lines += [
            f"## {TITLES[group]}\n",
            f"| {' | '.join(columns)} |",
            "|---" * len(columns) + "|",
        ]
        for row in rows:
            with tempfile.TemporaryDirectory() as place:
                line, good = _line(row, run_row(row, Path(place)), Path(place))
            wrong += not good
            lines.append(line)
        lines.append("")
    lines.append(f"{len(ROWS)} rows, {wrong} not as expected.")
    table = "\n".join(lines) + "\n"
    sys.stdout.write(table)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table, encoding="utf-8")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
