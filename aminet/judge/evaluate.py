"""Evaluation: any set of models on the same degraded faces, as one table and one sheet.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803, N806

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

from aminet.data.degrade import resize
from aminet.data.pictures import list_pictures, read_square
from aminet.device import resolve_device
from aminet.errors import DataError, TrainConfigError
from aminet.judge.metrics import psnr, ssim
from aminet.judge.sheets import draw_sheet
from aminet.judge.validate import (
    Trial,
    camera_trial,
    clean_trial,
    load_faces,
    make_trial,
    restore_with,
)
from aminet.model_files import load_network

SIDE_PX: Final = 128
SHEET_FACES: Final = 8
COLOUR_SIDE_PX: Final = 8
"""Size at which only the lowest frequencies are left."""


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to compare, on what."""

    faces: Path
    """Folder of sharp faces."""
    models: tuple[str, ...] = ("bicubic", "lanczos", "aminet-s")
    """"bicubic", "lanczos", a name of weights that ship, a weights file or a checkpoint."""
    scales: tuple[int, ...] = (4, 8)
    protocol: str = "bicubic"
    """"bicubic" or "camera"; without meaning where `lr` is given."""
    lr: Path | None = None
    """Folder of small faces named as the sharp ones; nothing is degraded then."""
    device: str = "auto"
    ensemble: bool = False
    """Every network with the mirror image of each face (`aminet.network.self_ensemble`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one trial; means over all faces."""

    model: str
    trial: str
    faces: int
    psnr_lab: float
    """dB, luma truncated, whole picture."""
    ssim_lab: float
    psnr_dic: float
    """dB, luma rounded, 8 px border left out."""
    ssim_dic: float
    consistency_db: float
    """PSNR (RGB) between the small face and the result reduced to its size."""
    colour_shift: float
    """Mean absolute difference of lowest frequencies from the input's, in 8-bit levels."""
    ms_per_face: float
    """Wall time of the model on this machine in this run."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All rows, and the faces for the sheet."""

    rows: tuple[Row, ...]
    sheets: dict[str, dict[str, Tensor]]
    """Trial -> model -> (B, 3, S, S) faces, first the small face, last the truth."""

    def text(self) -> str:
        """The table for a terminal."""
        head = [f.name for f in fields(Row)]
        cells = [head, *([_cell(v) for v in asdict(row).values()] for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in cells
        )

    def csv(self) -> str:
        """The table as CSV, full precision."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        return buffer.getvalue()

    def json(self) -> str:
        """The table as a JSON list of rows."""
        return json.dumps([asdict(row) for row in self.rows], indent=2) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write evaluation.{txt,csv,json} and one sheet for each trial; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {"txt": self.text() + "\n", "csv": self.csv(), "json": self.json()}
        files: list[Path] = []
        for suffix, content in contents.items():
            file = folder / f"evaluation.{suffix}"
            file.write_text(content)
            files.append(file)
        for trial, rows in self.sheets.items():
            file = folder / f"sheet_{trial}.png"
            draw_sheet(rows, file)
            files.append(file)
        return files


def evaluate(request: EvaluationRequest) -> Evaluation:
    """Degrade the faces once, run every model on them, measure.

    Raises:
        DeviceError: the device is not there.
        DataError: no faces, faces too small, or small faces without a sharp one.
        WeightsError: an unknown model.
        TrainConfigError: an unknown protocol.
    """
    device = resolve_device(request.device)
    trials = _trials(request)
    rows: list[Row] = []
    sheets: dict[str, dict[str, Tensor]] = {t.name: {} for t in trials}
    for trial in trials:
        small = F.interpolate(trial.lr_BCHW[:SHEET_FACES], (SIDE_PX, SIDE_PX), mode="nearest")
        sheets[trial.name]["small face"] = small
    for model in request.models:
        run = _runner(model, device, ensemble=request.ensemble)
        for trial in trials:
            start_s = time.perf_counter()
            y_BCHW = run(trial)
            seconds = time.perf_counter() - start_s
            rows.append(measure(model, trial, y_BCHW, seconds))
            sheets[trial.name][model] = y_BCHW[:SHEET_FACES]
    for trial in trials:
        sheets[trial.name]["truth"] = trial.hr_BCHW[:SHEET_FACES]
    return Evaluation(tuple(rows), sheets)


def measure(model: str, trial: Trial, y_BCHW: Tensor, seconds: float) -> Row:
    """All figures of one model's output on one trial."""
    hr = trial.hr_BCHW
    back = resize(y_BCHW, trial.lr_BCHW.shape[-1])
    error = (back - trial.lr_BCHW).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
    shift = _lowest(y_BCHW) - _lowest(trial.lq_BCHW)
    return Row(
        model=model,
        trial=trial.name,
        faces=hr.shape[0],
        psnr_lab=float(psnr(y_BCHW, hr, "lab").mean()),
        ssim_lab=float(ssim(y_BCHW, hr, "lab").mean()),
        psnr_dic=float(psnr(y_BCHW, hr, "dic").mean()),
        ssim_dic=float(ssim(y_BCHW, hr, "dic").mean()),
        consistency_db=float((-10 * torch.log10(error)).mean()),
        colour_shift=float(shift.abs().mean() * 255),
        ms_per_face=seconds * 1000 / hr.shape[0],
    )


def _lowest(x_BCHW: Tensor) -> Tensor:
    return F.interpolate(x_BCHW, (COLOUR_SIDE_PX, COLOUR_SIDE_PX), mode="area")


def _trials(request: EvaluationRequest) -> list[Trial]:
    pictures = list_pictures(request.faces, "test")
    hr = load_faces([p.path for p in pictures], SIDE_PX)
    if request.lr is not None:
        return [_pairs(request.lr, [p.path.stem for p in pictures], hr)]
    makers = {"bicubic": clean_trial, "camera": camera_trial}
    if request.protocol not in makers:
        raise TrainConfigError(
            f"no protocol {request.protocol!r}; expected one of {', '.join(makers)}",
            key="protocol",
        )
    return [makers[request.protocol](hr, scale) for scale in request.scales]


def _pairs(folder: Path, stems: Sequence[str], hr_BCHW: Tensor) -> Trial:
    files = {p.path.stem: p.path for p in list_pictures(folder)}
    missing = [stem for stem in stems if stem not in files]
    if missing:
        raise DataError(
            f"{folder} has no small face for {len(missing)} of {len(stems)} sharp ones "
            f"({', '.join(missing[:3])} ...); the names must match",
            path=str(folder),
        )
    with Image.open(files[stems[0]]) as first:
        side = min(first.size)
    small = np.stack([read_square(files[stem], side) for stem in stems])
    lr = torch.from_numpy(small).permute(0, 3, 1, 2).to(torch.float32) / 255
    return make_trial("pairs", hr_BCHW, lr)


def _runner(model: str, device: torch.device, *, ensemble: bool) -> Callable[[Trial], Tensor]:
    if model == "bicubic":
        return lambda trial: trial.lq_BCHW
    if model == "lanczos":
        return lambda trial: _lanczos(trial.lr_BCHW, trial.hr_BCHW.shape[-1])
    network, _ = load_network(model, device)
    restore = restore_with(network, device, ensemble=ensemble)
    return lambda trial: restore(trial.lq_BCHW)


def _lanczos(lr_BCHW: Tensor, side: int) -> Tensor:
    levels = (lr_BCHW * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    resized = [
        np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))
        for face in levels
    ]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).to(torch.float32) / 255


def _cell(value: str | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
