"""Evaluating any set of models on the same degraded faces, as tables and pages of faces.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803, N806, N815

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aminet.data.pictures import (
    FacePicture,
    list_pictures,
    manifest_rows,
    read_rgb,
    read_square,
)
from aminet.device import resolve_device
from aminet.errors import DataError
from aminet.judge.groups import group_faces
from aminet.judge.judges import Figures, Judges, load_judges, measure, named
from aminet.judge.page import draw_page
from aminet.judge.tables import Row, as_csv, as_json, as_text, faces_csv, make_row
from aminet.judge.trials import SIDE_PX, Trial, load_faces, make_trial, plan_trials
from aminet.restorer import Restorer

__all__ = ["MOST_ENLARGED", "Evaluation", "EvaluationRequest", "Run", "evaluate"]

MOST_ENLARGED: Final = 1.15
"""A picture that would have to be enlarged by more than this is left out of trials at that side,
because it would not be sharp."""

Run = Callable[[Trial], Tensor]
"""Takes a trial, returns its restored faces, (B, 3, S, S) float in [0, 1]."""


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """The models to compare and the faces to compare them on."""

    faces: Path
    """Folder of sharp faces."""
    models: tuple[str, ...] = ("bicubic", "lanczos", "aminet-s")
    """"bicubic", "lanczos", a name of weights that ship, a weights file or a checkpoint. The last
    model ranks the faces of the pages."""
    scales: tuple[int, ...] | None = None
    """Reductions; None uses 4 and 8, or the protocol's own."""
    protocol: str = "bicubic"
    """See `aminet.judge.trials.plan_trials`; ignored with `lr`."""
    lr: Path | None = None
    """Folder of small faces with the names of the sharp ones, to use instead of degrading them."""
    device: str = "auto"
    ensemble: bool = False
    """Run every network with `aminet.network.self_ensemble`."""
    features: tuple[Path, ...] = ()
    """Weights of feature networks (`aminet.judge.judges.load_judges`)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All measures, and the pages of faces."""

    rows: tuple[Row, ...]
    """By model, trial and group."""
    faces: tuple[dict[str, Any], ...]
    """The measures of each face, by model and trial."""
    pages: dict[str, Image.Image]
    """The worst, median and best faces, by trial."""

    def text(self) -> str:
        """Return the tables as text for a terminal."""
        return as_text(self.rows)

    def write(self, folder: Path) -> list[Path]:
        """Write evaluation.{txt,csv,json}, faces.csv and each trial's page; return the files."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "evaluation.txt": self.text() + "\n",
            "evaluation.csv": as_csv(self.rows),
            "evaluation.json": as_json(self.rows),
            "faces.csv": faces_csv(self.faces),
        }
        for name, content in contents.items():
            (folder / name).write_text(content)
        pages = {f"page_{trial}.png": page for trial, page in self.pages.items()}
        for name, page in pages.items():
            page.save(folder / name)
        return [folder / name for name in (*contents, *pages)]


@dataclass(frozen=True, slots=True)
class _Sample:
    """The faces of one trial, with their names and groups."""

    trial: Trial
    names: list[str]
    groups: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Result:
    """A model's result on a sample."""

    restored_BCHW: Tensor
    figures: Figures
    ms_per_face: float


def evaluate(request: EvaluationRequest) -> Evaluation:
    """Degrade the faces once, run every model on them, and measure the results.

    Raises:
        DeviceError: this machine does not have the device.
        DataError: there are no faces, they are too small, or a small face has no sharp one.
        WeightsError: a model is unknown, or a feature file is of no known network.
        TrainConfigError: the protocol is unknown, or does not support the reductions.
    """
    device = resolve_device(request.device)
    samples = _samples(request)
    judges = load_judges(request.features, device)
    runs = {name: _run(name, device, ensemble=request.ensemble) for name in request.models}
    rows: dict[str, list[Row]] = {name: [] for name in runs}
    faces: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    pages: dict[str, Image.Image] = {}
    for sample in samples:
        trial = sample.trial
        before = measure(judges, trial, trial.lq_BCHW[:, :3])
        results = {name: _result(run, judges, trial) for name, run in runs.items()}
        for name, result in results.items():
            rows[name] += [
                make_row(name, trial, group, result.figures, before, result.ms_per_face)
                for group in sample.groups.items()
            ]
            faces[name] += _of_faces(name, sample, result.figures)
        pages[trial.name] = draw_page(
            trial,
            {name: result.restored_BCHW for name, result in results.items()},
            {name: result.figures for name, result in results.items()},
            before,
            sample.names,
        )
    return Evaluation(
        tuple(row for name in runs for row in rows[name]),
        tuple(face for name in runs for face in faces[name]),
        pages,
    )


def _result(run: Run, judges: Judges, trial: Trial) -> _Result:
    start_s = time.perf_counter()
    restored_BCHW = run(trial)
    seconds = time.perf_counter() - start_s
    figures = measure(judges, trial, restored_BCHW)
    return _Result(restored_BCHW, figures, seconds * 1000 / len(restored_BCHW))


def _of_faces(model: str, sample: _Sample, figures: Figures) -> list[dict[str, Any]]:
    columns = {key: values.tolist() for key, values in named(figures).items()}
    return [
        {
            "model": model,
            "trial": sample.trial.name,
            "face": face,
            **{key: values[i] for key, values in columns.items()},
        }
        for i, face in enumerate(sample.names)
    ]


def _samples(request: EvaluationRequest) -> Iterator[_Sample]:
    """Check the request at once, then yield one trial after the other."""
    pictures = list_pictures(request.faces, "test")
    if request.lr is not None:
        return iter([_pairs(request.lr, request.faces, pictures)])
    plans = plan_trials(request.protocol, request.scales)
    rows = manifest_rows(request.faces)
    loaded = {
        side: _load(_sharp_at(pictures, side), rows, side)
        for side in {plan.side_px for plan in plans}
    }

    def samples() -> Iterator[_Sample]:
        for plan in plans:
            names, hr_BCHW, groups = loaded[plan.side_px]
            if names:
                yield _Sample(plan.make(hr_BCHW), names, groups)

    return samples()


def _sharp_at(pictures: Sequence[FacePicture], side: int) -> list[FacePicture]:
    if side == SIDE_PX:
        return list(pictures)
    return [p for p in pictures if side <= MOST_ENLARGED * min(read_rgb(p.path).size)]


def _load(
    pictures: Sequence[FacePicture], rows: Mapping[str, Mapping[str, Any]], side: int
) -> tuple[list[str], Tensor, Mapping[str, Sequence[int]]]:
    names = [p.path.name for p in pictures]
    if not pictures:
        return names, torch.empty(0, 3, side, side), {}
    hr_BCHW = load_faces([p.path for p in pictures], side)
    return names, hr_BCHW, group_faces([rows.get(name, {}) for name in names], hr_BCHW)


def _pairs(folder: Path, sharp: Path, pictures: Sequence[FacePicture]) -> _Sample:
    names, hr_BCHW, groups = _load(pictures, manifest_rows(sharp), SIDE_PX)
    stems = [p.path.stem for p in pictures]
    files = {p.path.stem: p.path for p in list_pictures(folder)}
    missing = [stem for stem in stems if stem not in files]
    if missing:
        raise DataError(
            f"{folder} has no small face for {len(missing)} of {len(stems)} sharp ones "
            f"({', '.join(missing[:3])} ...); the names must match",
            path=str(folder),
        )
    side = min(read_rgb(files[stems[0]]).size)
    small = np.stack([read_square(files[stem], side) for stem in stems])
    lr = torch.from_numpy(small).permute(0, 3, 1, 2).to(torch.float32) / 255
    return _Sample(make_trial("pairs", hr_BCHW, lr), names, groups)


def _run(model: str, device: torch.device, *, ensemble: bool) -> Run:
    if model == "bicubic":
        return lambda trial: trial.lq_BCHW[:, :3]
    if model == "lanczos":
        return lambda trial: _lanczos(trial.lr_BCHW, trial.hr_BCHW.shape[-1])
    restorer = Restorer.load(model, device, ensemble=ensemble)
    return lambda trial: restorer.restore(trial.lq_BCHW)


def _lanczos(lr_BCHW: Tensor, side: int) -> Tensor:
    levels = (lr_BCHW * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    resized = [
        np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))
        for face in levels
    ]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).to(torch.float32) / 255
