"""Any video in, faithful video out: every row of the table, through the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.checks import matches, run_row
from tests.conformance.row import Row
from tests.conformance.rows import ROWS
from tests.conformance.table import TABLE, source_cell

pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.parametrize(
    ("row", "copies"),
    [
        pytest.param(
            row,
            copies,
            id=f"{row.group}: {row.name}, {row.source}-{'copied' if copies else 'encoded'}",
        )
        for row in ROWS
        for copies in ((False, True) if row.changed is None else (True,))
    ],
)
def test_row(row: Row, tmp_path: Path, *, copies: bool) -> None:
    outcome = run_row(row, tmp_path, copies=copies)

    if row.refused is not None:
        assert outcome.error is not None
        assert matches(row.refused, outcome.error), outcome.error
        assert not list((tmp_path / "out").glob("*")), "something was left behind"
        return
    assert outcome.error is None
    assert set(outcome.failed) == set(row.differs), outcome.failed
    assert outcome.target == (row.holds or row.target or Path(row.source).suffix)


def test_the_table_in_the_docs_has_every_row() -> None:
    table = TABLE.read_text(encoding="utf-8")
    missing = [source_cell(row) for row in ROWS if source_cell(row) not in table]
    assert not missing, "run `make conformance`"
    assert f"{len(ROWS)} rows, 0 not as expected." in table
