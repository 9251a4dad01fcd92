"""A run's report as a page for a person: one file that needs nothing else, and runs offline.

Everything that is shown is escaped: names and metadata of videos are not trusted. The only script
is the page's own, by its hash; the page loads nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nodes.reports import counted
from nodes.sheet.page import GAIN
from pipeline.page.gallery import Shot
from pipeline.page.timeline import TrackTimes
from pipeline.terminal import printable

__all__ = ["VideoPage", "render"]

_FILES: Final = Path(__file__).parent / "templates"
_NUMBERS: Final = re.compile(r"%\d*d")


@dataclass(frozen=True, slots=True)
class VideoPage:
    """One video of the page."""

    report: Mapping[str, Any]
    """What `report.json` says of it."""
    times: Sequence[TrackTimes] = ()
    shots: Mapping[int, Sequence[Shot]] | None = None
    """By the faces' numbers, None where there is no sheet."""

    @property
    def end_s(self) -> float:
        """Where the time line ends."""
        return max((track.spans[-1].end_s for track in self.times), default=0.0)

    @property
    def start_s(self) -> float:
        """Where it begins."""
        return min((track.start_s for track in self.times), default=0.0)

    @property
    def altered(self) -> dict[int, Mapping[str, Any]]:
        """What was altered of each face, by number."""
        evidence = self.report.get("evidence") or {}
        return {track["track_id"]: track for track in evidence.get("tracks", ())}

    def percent(self, time_s: float) -> float:
        """Return where on the time line a time is, 0 to 100."""
        return round(100 * (time_s - self.start_s) / max(self.end_s - self.start_s, 1e-3), 3)


def render(report: Mapping[str, Any], videos: Sequence[VideoPage]) -> str:
    """Return the page.

    Args:
        report: what `report.json` says of the run.
        videos: its videos in order.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = str(Path(report["path"]).parent)
    filters: dict[str, Callable[..., Any]] = {
        "shown": lambda value: printable(str(value)),
        "counted": counted,
        "clock": _clock,
        "moment": lambda text: printable(str(text)).replace("T", " ").replace("+00:00", " UTC"),
        "file_name": lambda path: printable(Path(path).name),
        "link": lambda path: _link(path, folder),
    }
    environment.filters.update(filters)
    script = (_FILES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    shots = [shot for video in videos for own in (video.shots or {}).values() for shot in own]
    return environment.get_template("page.html").render(
        report=report,
        videos=videos,
        style=Markup((_FILES / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        script_digest=digest,
        gain=GAIN,
        pictures=3 * len(shots),
        picture_kb=round(sum(shot.size_bytes for shot in shots) / 1000),
    )


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(max(0.0, time_s), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:05.2f}" if hours else f"{minutes}:{seconds:05.2f}"


def _link(path: str | None, folder: str) -> str | None:
    """Return a link to a file that lies below the page's folder, None to any other."""
    if not path or _NUMBERS.search(path):
        return None
    try:
        relative = Path(path).relative_to(folder)
    except ValueError:
        return None
    return quote(str(relative).encode("utf-8", "surrogateescape"))
