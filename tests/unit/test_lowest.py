"""The constraints of `make test-lowest`."""

from __future__ import annotations

import pytest

from tests.support import ROOT
from tools.lowest import lowest

TEXT = """
[project]
dependencies = ["a>=1.5,<2", "b[x]>=3"]
[project.optional-dependencies]
more = ["{more}"]
"""


def test_each_package_is_held_at_its_bound() -> None:
    assert lowest(TEXT.format(more="b>=3")) == ["a==1.5", "b==3"]


@pytest.mark.parametrize("more", ["c", "b>=4", "c<3"])
def test_a_package_without_one_bound_is_refused(more: str) -> None:
    with pytest.raises(ValueError, match="one lower bound"):
        lowest(TEXT.format(more=more))


def test_all_of_ours_have_one() -> None:
    constraints = lowest((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "av==18.1" in constraints
    assert len(constraints) > 20
