"""`aminet enhance`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nodes.join import FRAMES, PARQUET, SHEET, TRACKS
from pipeline.cli import options as option
from pipeline.cli.console import out, say, say_error
from pipeline.cli.loudness import is_quiet
from pipeline.cli.plan import tell
from pipeline.errors import RunFailedError
from pipeline.job.report import GENERATIVE_NOTE, NOTE

if TYPE_CHECKING:
    from pipeline.config import Flags
    from pipeline.job.report import RunReport
    from pipeline.run.contract import SegmentResult

__all__ = ["register"]

_BESIDE: Final = {
    SHEET: "before/after",
    TRACKS: "tracks",
    PARQUET: "tracks, a table",
    FRAMES: "evidence",
}
"""Labels of the files beside the output, by ending."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("enhance")(enhance)
    app.command("run")(run_graph)


def enhance(
    inputs: option.Inputs,
    output: option.Output,
    scale: option.Scale = None,
    look: option.Look = None,
    strength: option.Strength = None,
    faces: option.Faces = None,
    from_s: option.From = None,
    to_s: option.To = None,
    video: option.Video = None,
    evidence: option.Evidence = False,
    change_map: option.ChangeMap = False,
    label: option.Label = False,
    sign_cert: option.SignCert = None,
    sign_key: option.SignKey = None,
    sign_tsa: option.SignTsa = None,
    config: option.ConfigFile = None,
    settings: option.Settings = None,
    runner: option.Runner = None,
    address: option.Address = None,
    overwrite: option.Overwrite = False,
    resume: option.Resume = True,
    dry_run: option.DryRun = False,
) -> None:
    """Write the same videos with the faces restored, a report, and before/after sheets."""
    from pipeline.config import Flags

    flags = Flags(
        scale=scale,
        look=look,
        strength=strength,
        faces=faces,
        from_s=from_s,
        to_s=to_s,
        video=video,
        evidence=evidence or None,
        change_map=change_map or None,
        label=label or None,
        sign_cert=sign_cert,
        sign_key=sign_key,
        sign_tsa=sign_tsa,
        runner=runner,
        address=address,
    )
    _go(inputs, output, flags, config, settings or [], overwrite, resume, dry_run)


def run_graph(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="A graph's name, or its file.")],
    inputs: option.Inputs,
    output: option.Output,
    scale: option.Scale = None,
    look: option.Look = None,
    strength: option.Strength = None,
    faces: option.Faces = None,
    from_s: option.From = None,
    to_s: option.To = None,
    video: option.Video = None,
    evidence: option.Evidence = False,
    change_map: option.ChangeMap = False,
    label: option.Label = False,
    sign_cert: option.SignCert = None,
    sign_key: option.SignKey = None,
    sign_tsa: option.SignTsa = None,
    config: option.ConfigFile = None,
    settings: option.Settings = None,
    runner: option.Runner = None,
    address: option.Address = None,
    overwrite: option.Overwrite = False,
    resume: option.Resume = True,
    dry_run: option.DryRun = False,
) -> None:
    """Take videos through any graph: `enhance` is this with the graph of that name.

    Options that the graph has no parameter for are refused.
    """
    from pipeline.config import Flags

    flags = Flags(
        graph=graph,
        scale=scale,
        look=look,
        strength=strength,
        faces=faces,
        from_s=from_s,
        to_s=to_s,
        video=video,
        evidence=evidence or None,
        change_map=change_map or None,
        label=label or None,
        sign_cert=sign_cert,
        sign_key=sign_key,
        sign_tsa=sign_tsa,
        runner=runner,
        address=address,
    )
    _go(inputs, output, flags, config, settings or [], overwrite, resume, dry_run)


def _go(
    inputs: list[str],
    output: str,
    flags: Flags,
    config: Path | None,
    settings: list[str],
    overwrite: bool,
    resume: bool,
    dry_run: bool,
) -> None:
    from pipeline.api import enhance as run
    from pipeline.api import enhance_stream
    from pipeline.config import merge_settings
    from pipeline.job.monitors import FailureMonitor, monitor_for
    from pipeline.stream.job import check_streams, is_stream

    check_streams(inputs, output)
    if dry_run:
        run_config = merge_settings(config, settings, **flags)
        tell(inputs, output, run_config, overwrite=overwrite, resume=resume)
        return
    if len(inputs) == 1 and is_stream(inputs[0], output):
        result = enhance_stream(
            inputs[0],
            output,
            **flags,
            config=config,
            settings=settings,
            overwrite=overwrite,
        )
        if not is_quiet():
            _tell_stream(inputs[0], output, result)
        return
    report = run(
        inputs,
        output,
        **flags,
        config=config,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        monitor=FailureMonitor(out) if is_quiet() else monitor_for(out),
        command=("aminet", *sys.argv[1:]),
    )
    if not is_quiet():
        _tell(report)
    if report.failed:
        raise RunFailedError(f"{len(report.failed)} of {len(report.videos)} videos failed")


def _tell_stream(source: str, output: str, result: SegmentResult) -> None:
    """Say what became of a stream."""
    from nodes.reports import counted, found_faces, generative_faces, left_alone, restored_faces
    from pipeline.job.report import face_facts, left_alone_lines

    reports = result.reports.values()
    restored, alone = restored_faces(reports, result.progress.faces), left_alone(reports)
    facts = [counted(result.progress.frames, "frame")]
    facts += face_facts(found_faces(reports), restored, alone)
    say_error(f"{source} -> {output}: {', '.join(facts)}")
    for line in left_alone_lines(alone):
        say_error(line)
    if generative_faces(reports):
        say_error(f"  note: {GENERATIVE_NOTE}")
    if restored:
        say_error(NOTE)


def _tell(report: RunReport) -> None:
    """Say where everything is."""
    for video in report.videos:
        for ending, location in video.beside.items():
            if "/" not in ending:
                say(f"{_BESIDE.get(ending, 'beside it')}: {location}")
    say(f"report: {report.path}")
    if report.page is not None:
        say(f"to read: {report.page}")
    if any(video.faces for video in report.videos):
        say(report.note)
