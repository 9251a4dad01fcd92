"""Finding and reading the report of a result, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from pydantic import ValidationError
from upath import UPath

from aminet.errors import first_line
from pipeline.errors import ConfigError
from pipeline.evidence.record import Evidence
from pipeline.job.files import beside
from pipeline.job.report import SCHEMA_VERSION, VideoReport, read_report, seal_of
from pipeline.segments.identity import settings_digest
from pipeline.storage.json_text import json_value
from pipeline.storage.locations import is_folder, read, size_of
from pipeline.verification.findings import Finding, failed, ok

__all__ = ["Recorded", "check_settings_digest", "find_report", "read_record"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One video of a report, and where its files are now."""

    video: VideoReport
    evidence: Evidence
    output: UPath
    sides: Mapping[str, UPath]
    """By what their names end in."""


def find_report(out: UPath) -> UPath:
    """Return the report of a result.

    Args:
        out: an output, the folder of several, or the report itself.

    Raises:
        ConfigError: there is none.
    """
    if out.name.endswith("report.json"):
        candidates = [out]
    elif is_folder(out):
        candidates = [out / "report.json"]
    else:
        candidates = [beside(out, ".report.json"), out.parent / "report.json"]
    for candidate in candidates:
        if size_of(candidate) is not None:
            return candidate
    if size_of(out) is None and not is_folder(out):
        raise ConfigError(f"no such file or folder: {out}")
    looked = " and ".join(str(candidate) for candidate in candidates)
    raise ConfigError(f"{out}: has no report to verify it by; looked for {looked}")


def read_record(report: UPath, out: UPath) -> tuple[list[Recorded], list[Finding]]:
    """Read a report, and return its finished videos and what is wrong with it.

    Args:
        report: from `find_report`.
        out: what is to be verified: of a report on several videos, the one whose output it is, or
            all of them.
    """
    content = read(report) or b""
    try:
        data: Any = json_value(content)
        run = read_report(content)
    except (ValueError, ValidationError) as error:
        text = f"{report.name} is not a report that can be read: {first_line(error)}"
        return [], [failed("report", text)]
    found: list[Finding] = []
    if run.schema_version != SCHEMA_VERSION:
        text = f"has schema version {run.schema_version}, this program reads {SCHEMA_VERSION}"
        return [], [failed("report", f"{report.name} {text}")]
    if run.seal != seal_of(cast("dict[str, Any]", data)):
        found.append(failed("report", f"{report.name} was edited after it was written"))
    else:
        found.append(ok("report", f"{report.name} is as it was written (seal {run.seal[:16]})"))
    records = [
        _located(video, video.evidence, UPath(run.path), report)
        for video in run.videos
        if video.output is not None and video.evidence is not None
    ]
    if not is_folder(out) and out != report:
        records = [record for record in records if record.output == out]
    if not records:
        found.append(failed("report", f"{report.name} says nothing of {out.name}"))
    return records, found


def check_settings_digest(video: VideoReport, evidence: Evidence) -> Finding:
    """Compare the settings in a report with the digest that was made when the work began."""
    recorded = video.identity.settings if video.identity is not None else ""
    if settings_digest(evidence.work.graph) != recorded:
        return failed("graph", "the settings in the report are not those of the run")
    return ok("graph", f"the settings are those of the run (digest {recorded[:16]})")


def _located(video: VideoReport, evidence: Evidence, was: UPath, report: UPath) -> Recorded:
    """Return where files that lay beside a report lie now: it may have been moved with them."""

    def now(path: str) -> UPath:
        relative = _relative(path, str(was.parent))
        return report.parent / relative if relative is not None else report.parent / Path(path).name

    sides = {ending: now(path) for ending, path in video.beside.items()}
    return Recorded(video, evidence, now(video.output or ""), sides)


def _relative(path: str, folder: str) -> str | None:
    try:
        relative = PurePosixPath(path).relative_to(folder)
    except ValueError:
        return None
    # A report is not trusted to name files elsewhere.
    return None if ".." in relative.parts else str(relative)
