"""Reports of consecutive stretches of one video, made into one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["sum_reports"]


def sum_reports(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add reports up: numbers are summed, lists joined, mappings added up in turn.

    Of anything else the last that is not None stays. Settings that are numbers, and first and last
    times, do not add up: nodes that report such override `Node.merge_reports`.

    Args:
        reports: JSON types, in the order of the stretches.
    """
    merged: dict[str, Any] = {}
    for report in reports:
        for key, value in report.items():
            merged[key] = _sum(merged[key], value) if key in merged else value
    return merged


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
