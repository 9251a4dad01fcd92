"""Tables of an evaluation: means over groups of faces, and rows for single faces."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import torch

from aminet.judge.groups import EVERYONE
from aminet.judge.judges import Figures, gain_db, named
from aminet.judge.trials import Trial

__all__ = ["Row", "as_csv", "as_json", "as_text", "faces_csv", "make_row"]

_OF_GROUPS: Final = (
    *("group", "model", "trial", "faces", "psnr_lab", "gain_db", "lpips", "lpips_share"),
    *("identity", "identity_before", "nearer"),
)
"""Columns of the second table of `as_text`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one trial: means over the faces of a group."""

    model: str
    trial: str
    group: str
    """"all", or one of `aminet.judge.groups`."""
    faces: int
    eyes_px: float
    """Distance between the eyes in the small face, px, if aligned as the training crops."""
    psnr_lab: float
    """dB, in the "lab" convention (`aminet.judge.metrics`)."""
    gain_db: float
    """Gain of `psnr_lab` over bicubic."""
    worst_gain_db: float
    """Gain of the face that gains least."""
    ssim_lab: float
    psnr_dic: float
    """dB, in the "dic" convention."""
    ssim_dic: float
    consistency_db: float
    """PSNR (RGB) between the small face and the result reduced to its size."""
    colour_shift: float
    """Mean absolute difference from the input at the lowest frequencies, in 8-bit levels."""
    lpips: float | None
    """None without the weights of LPIPS."""
    lpips_share: float | None
    """`lpips` divided by that of bicubic."""
    identity: float | None
    """Distance between the embeddings of the restored and the true face; None without its
    weights."""
    identity_before: float | None
    """The same for bicubic."""
    nearer: float | None
    """Share of faces whose identity is nearer to the truth than with bicubic."""
    ms_per_face: float
    """Wall time of the model on this machine in this run."""


def make_row(
    model: str,
    trial: Trial,
    group: tuple[str, Sequence[int]],
    figures: Figures,
    before: Figures,
    ms_per_face: float,
) -> Row:
    """Return the means over a group of faces.

    Args:
        model: name of the model.
        trial: the trial.
        group: name of the group, and the indices of its faces in the trial.
        figures: the model's measures of all faces of the trial.
        before: the measures of bicubic.
        ms_per_face: the model's time per face, ms.
    """
    name, indices = group
    at = torch.tensor(indices)
    mean = {key: float(values[at].mean()) for key, values in named(figures).items()}
    mean_before = {key: float(values[at].mean()) for key, values in named(before).items()}
    gains = gain_db(figures, before)[at]
    share = nearer = None
    if "lpips" in mean:
        share = mean["lpips"] / max(mean_before["lpips"], 1e-9)
    if figures.identity is not None and before.identity is not None:
        nearer = float((figures.identity[at] < before.identity[at]).double().mean())
    return Row(
        model=model,
        trial=trial.name,
        group=name,
        faces=len(indices),
        eyes_px=trial.eyes_px,
        gain_db=float(gains.mean()),
        worst_gain_db=float(gains.min()),
        lpips=mean.pop("lpips", None),
        lpips_share=share,
        identity=mean.pop("identity", None),
        identity_before=mean_before.get("identity"),
        nearer=nearer,
        ms_per_face=ms_per_face,
        **mean,
    )


def as_text(rows: Sequence[Row]) -> str:
    """Return the tables for a terminal: all faces, then groups; empty columns are left out."""
    everyone = [asdict(row) for row in rows if row.group == EVERYONE]
    table = _aligned([{k: v for k, v in row.items() if k != "group"} for row in everyone])
    grouped = [asdict(row) for row in rows if row.group != EVERYONE]
    if not grouped:
        return table
    grouped.sort(key=lambda row: (row["group"], row["trial"]))
    return table + "\n\n" + _aligned([{k: row[k] for k in _OF_GROUPS} for row in grouped])


def as_csv(rows: Sequence[Row]) -> str:
    """Return all rows as CSV in full precision; cells without a value are empty."""
    return _csv([f.name for f in fields(Row)], [asdict(row) for row in rows])


def as_json(rows: Sequence[Row]) -> str:
    """Return all rows as a JSON list."""
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"


def faces_csv(faces: Sequence[Mapping[str, Any]]) -> str:
    """Return a CSV row for each face of each model and trial."""
    return _csv(list(faces[0]), faces)


def _csv(head: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, head, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    head = [key for key in rows[0] if any(row[key] is not None for row in rows)]
    cells = [head, *([_cell(row[key]) for key in head] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    texts = [isinstance(rows[0][key], str) for key in head]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, texts, strict=True)
        )
        for line in cells
    )


def _cell(value: str | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
