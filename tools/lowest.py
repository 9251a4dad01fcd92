"""Prints pip constraints that take the lowest versions that `pyproject.toml` allows.

    python -m tools.lowest > lowest.txt

Only what is named there is constrained: of what those packages need in turn, pip takes the newest
that they allow.
"""

from __future__ import annotations

import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

PYPROJECT: Final = Path(__file__).parent.parent / "pyproject.toml"


def lowest(pyproject: str) -> list[str]:
    """Return a constraint for each package that has a lower bound.

    Args:
        pyproject: the text of `pyproject.toml`.

    Raises:
        ValueError: a package has no lower bound, or two different ones.
    """
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"].values()
    named = [*project["dependencies"], *chain.from_iterable(extras)]
    bounds: dict[str, str] = {}
    for requirement in map(Requirement, named):
        found = [part.version for part in requirement.specifier if part.operator == ">="]
        if len(found) != 1 or bounds.setdefault(requirement.name, *found) != found[0]:
            raise ValueError(f"{requirement}: expected one lower bound, the same everywhere")
    return [f"{name}=={version}" for name, version in sorted(bounds.items())]


if __name__ == "__main__":
    sys.stdout.write("\n".join([*lowest(PYPROJECT.read_text(encoding="utf-8")), ""]))
