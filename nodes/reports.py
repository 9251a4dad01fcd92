"""Merging the reports of a video's segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

__all__ = [
    "counted",
    "found_faces",
    "generative_faces",
    "left_alone",
    "restored_faces",
    "sum_reports",
]


def counted(count: int, what: str) -> str:
    """Return "1 frame", "2 frames"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def sum_reports(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge reports: add numbers, concatenate lists, merge mappings recursively.

    For other values the last one that is not None is kept. Nodes whose reports contain numbers that
    cannot be added, such as settings or times, override `Node.merge_reports`.

    Args:
        reports: mappings of JSON types, in the order of the segments.
    """
    merged: dict[str, Any] = {}
    for report in reports:
        for key, value in report.items():
            merged[key] = _sum(merged[key], value) if key in merged else value
    return merged


def left_alone(reports: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return why faces were left as they were, in words, and how often, the most common one first.

    Args:
        reports: of the nodes of a graph; each may have a mapping `left_alone`.
    """
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.get("left_alone", {}))
    return dict(counts.most_common())


def found_faces(reports: Iterable[Mapping[str, Any]]) -> int | None:
    """Return how many faces were found, each counted once; None if nothing tracks faces.

    Args:
        reports: of the nodes of a graph, for a whole video; trackers may have the count as
            `tracks`.
    """
    counts = [report.get("tracks") for report in reports]
    return max((count for count in counts if isinstance(count, int)), default=None)


def generative_faces(reports: Iterable[Mapping[str, Any]]) -> int:
    """Return how many faces were restored by a generative network.

    Args:
        reports: of the nodes of a graph; each may have the count as `generative_faces`.
    """
    return sum(report.get("generative_faces", 0) for report in reports)


def restored_faces(reports: Iterable[Mapping[str, Any]], made: int) -> int:
    """Return how many faces of the pictures are restored ones, over all frames.

    Args:
        reports: of the nodes of a graph. Those that put faces into pictures count them as `faces`,
            beside `generative_faces`.
        made: faces that restorers made, which count where no node puts them into pictures.
    """
    pasted = [report.get("faces") for report in reports if "generative_faces" in report]
    return max((count for count in pasted if isinstance(count, int)), default=made)


def _sum(before: Any, after: Any) -> Any:
    if before is None or after is None:
        return before if after is None else after
    if isinstance(before, bool) and isinstance(after, bool):
        return before or after
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return round(before + after, 6)
    if isinstance(before, list) and isinstance(after, list):
        return [*cast("list[Any]", before), *cast("list[Any]", after)]
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return sum_reports([cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)])
    return after
