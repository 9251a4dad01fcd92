"""Counts that are put together from the reports of all nodes."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.reports import restored_faces

PASTED = {"frames": 9, "faces": 4, "generative_faces": 0}


@pytest.mark.parametrize(
    ("reports", "made", "count"),
    [
        ([{"faces": 20}, PASTED], 20, 4),  # some were made and not put in
        ([PASTED | {"faces": 0}], 20, 0),
        ([PASTED], 0, 4),  # changed without a restorer
        ([{"faces": 20}, {}], 20, 20),  # no picture to put them into
        ([PASTED, PASTED], 4, 4),  # into two videos
        ([], 0, 0),
    ],
)
def test_restored_faces_are_those_in_the_pictures(
    reports: list[dict[str, Any]], made: int, count: int
) -> None:
    assert restored_faces(reports, made) == count
