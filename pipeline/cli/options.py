"""The arguments and options that `enhance` and `plan` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.parsers import number

__all__ = [
    "Address",
    "ChangeMap",
    "ConfigFile",
    "DryRun",
    "Evidence",
    "Faces",
    "From",
    "Inputs",
    "Label",
    "Look",
    "Output",
    "Overwrite",
    "Resume",
    "Runner",
    "Scale",
    "Settings",
    "SignCert",
    "SignKey",
    "SignTsa",
    "Strength",
    "To",
    "Video",
]

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help="Video files, folders, URLs, or - for a pipe."),
]
Output = Annotated[
    str,
    typer.Option("--output", "-o", help="A file for one input file, - for a pipe, else a folder."),
]
Scale = Annotated[
    int | None,
    typer.Option(
        "--scale", parser=number(int, 1, 4), metavar="1-4", help="Enlarge the picture by this much."
    ),
]
Look = Annotated[
    str | None,
    typer.Option("--look", help="faithful, or sharp: generative, draws plausible detail."),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--strength",
        parser=number(float, 0, 1),
        metavar="0-1",
        help="How much of the restoration to apply.",
    ),
]
Faces = Annotated[
    str | None,
    typer.Option("--faces", help="Which faces: largest, all, or so many of the largest."),
]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Begin here: 90, 01:30, 1:02:03.5.")
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="End before here.")]
Video = Annotated[
    int | None,
    typer.Option(
        "--video",
        parser=number(int, 0),
        metavar="N",
        help="Which video stream to restore, by `aminet probe`.",
    ),
]
Evidence = Annotated[
    bool,
    typer.Option("--evidence", help="Lossless, and the same bytes whatever runs it; takes longer."),
]
ChangeMap = Annotated[
    bool,
    typer.Option("--change-map", help="Write what was changed, amplified, as a second video."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file of a run; see the README.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NODE.KEY=VALUE", help="One setting: encode.crf=20."),
]
SignCert = Annotated[
    Path | None,
    typer.Option("--sign-cert", help="Sign with this certificate (PEM): Content Credentials."),
]
SignKey = Annotated[Path | None, typer.Option("--sign-key", help="Its private key (PEM).")]
SignTsa = Annotated[
    str | None,
    typer.Option("--sign-tsa", metavar="URL", help="Timestamp authority to ask for signatures."),
]
Runner = Annotated[str | None, typer.Option("--runner", help="auto, local or ray.")]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Ray cluster to join, such as auto or ray://head:10001."),
]
Label = Annotated[bool, typer.Option("--label", help="Draw an AI-restored tag at each face.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume", help="Use what an interrupted run of the same command finished."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, as `aminet plan` does.")
]
