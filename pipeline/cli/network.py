"""The commands `aminet train`, `aminet eval` and `aminet models`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from aminet.errors import did_you_mean
from pipeline.cli.console import out, say
from pipeline.cli.parsers import number
from pipeline.errors import ConfigError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("train")(train)
    app.command("eval")(evaluate)
    app.command("models")(models)


def train(
    configs: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONFIG...", help="Training configs' names or YAML files."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="CelebA or Helen, or a folder with `train` and `val` in it."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="One setting: optimiser.lr=2e-4."),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on from the checkpoint in the run's folder, if any.")
    ] = True,
) -> None:
    """Train a network, or several on the same batches.

    Log, curves, sheets and checkpoints are written to each config's `out`. Without a config the
    protocol of the face papers is trained: bicubic-x8.
    """
    from aminet.training.config import load_config
    from aminet.training.train import train as run

    logging.getLogger("aminet").setLevel(logging.INFO)
    overrides = [*_data_settings(data), *(settings or ())]
    wanted = [load_config(_config_file(name), overrides) for name in configs or ["bicubic-x8"]]
    for report in run(*wanted, resume=resume):
        say(
            f"{report.preset}: {report.steps} steps in {report.seconds:.0f} s, "
            f"{report.samples_per_s:.1f} samples/s, "
            f"{report.waiting_share:.1%} of the time waiting for data"
        )
        for name, value in report.scores.items():
            say(f"{name}: {_with_unit(name, value)}")
        say(f"checkpoint: {report.checkpoint}")


def evaluate(
    faces: Annotated[Path, typer.Argument(metavar="HR", help="Folder of sharp faces.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="bicubic, lanczos, a network's name, or a file."),
    ] = None,
    scale: Annotated[
        list[int] | None,
        typer.Option(
            "--scale", parser=number(int, 2, 16), metavar="2-16", help="Reductions to try."
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="bicubic, camera, track (seven frames), frame (its last), or all.")
    ] = "bicubic",
    lr: Annotated[
        Path | None, typer.Option("--lr", help="Folder of small faces with the same names.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for tables and pages.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="With each face's mirror image; twice the time.")
    ] = False,
    features: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Weights of LPIPS or of dlib's face embedding."),
    ] = None,
) -> None:
    """Compare networks with plain resizing, in a table by trial and group, and on a page of faces.

    A trial's page shows the worst, median and best faces of the last model.
    """
    from aminet.judge.evaluate import EvaluationRequest
    from aminet.judge.evaluate import evaluate as run

    request = EvaluationRequest(
        faces=faces,
        models=tuple(model or ("bicubic", "lanczos", "aminet-s")),
        scales=tuple(scale) if scale else None,
        protocol=protocol,
        lr=lr,
        device=device,
        ensemble=ensemble,
        features=tuple(features or ()),
    )
    evaluation = run(request)
    for line in evaluation.text().splitlines():
        say(line)
    if output is not None:
        for file in evaluation.write(output):
            say(f"written: {file}")


def models(
    export: Annotated[
        Path | None, typer.Option(metavar="CHECKPOINT", help="Turn a checkpoint into weights.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The .safetensors file to write.")
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(help="Average the export with this network, from which it was trained on."),
    ] = None,
    share: Annotated[
        float,
        typer.Option(parser=number(float, 0, 1), metavar="0-1", help="Share of that network."),
    ] = 0.5,
) -> None:
    """List the networks that ship, or export the weights of a training checkpoint."""
    from aminet.model_files import list_weights, load_network, mix_networks, save_weights

    if export is not None:
        network, card = load_network(export)
        training = card.training
        if mix is not None:
            other, theirs = load_network(mix)
            network = mix_networks(network, other, share)
            training = {**training, "mixed_with": {"sha256": theirs.sha256, "share": share}}
        file = output or export.with_suffix(".safetensors")
        made = save_weights(
            network,
            file,
            protocol=card.protocol,
            training=training,
            generative=card.generative,
        )
        say(f"written: {file} (SHA-256 {made.sha256})")
        return
    table = Table("name", "look", "parameters", "GMACs", "sides", "trained for", "SHA-256")
    for card in list_weights():
        table.add_row(
            card.name,
            "generative" if card.generative else "faithful",
            f"{card.parameters / 1e6:.2f} M",
            f"{card.macs / 1e9:.2f}",
            f"multiple of {card.side_multiple}, from {card.smallest_side}",
            card.protocol,
            card.sha256[:12],
        )
    out.print(table)


def _with_unit(score: str, value: float) -> str:
    if score.endswith("_lpips"):
        return f"{value:.3f}"
    return f"{value:+.2f} dB" if score.endswith("_gain") else f"{value:.2f} dB"


def _data_settings(data: Path | None) -> list[str]:
    if data is None:
        return []
    # CelebA carries its own partition; anything else must say which part is which.
    parts = (data / "train", data / "val")
    train_part, val_part = parts if all(part.is_dir() for part in parts) else (data, data)
    # As JSON, which is YAML: a folder may be called "a: b".
    return [f"data.train={json.dumps(str(train_part))}", f"data.val={json.dumps(str(val_part))}"]


def _config_file(name: str) -> Path:
    from pipeline.config import shipped_configs

    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return path
    known = {file.stem: file for file in shipped_configs("train")}
    if name not in known:
        raise ConfigError(
            f"no training config called {name!r}{did_you_mean(name, known) or ';'}"
            f" expected one of {', '.join(sorted(known))}, or a"
            " YAML file"
        )
    return known[name]
