"""Packages of other people: written to a folder that Python then finds, as an installer would."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodes.registry import registered_nodes

__all__ = ["FADE", "installed_package"]

FADE = '''
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port
from nodes.types import Frame


class FadeConfig(NodeConfig):
    """How much."""

    amount: float = 1.0
    """Of what."""


class Fade(MapNode[FadeConfig]):
    """Hands frames on."""

    spec = NodeSpec(
        "acme.fade", "hand frames on", (Port("frames", Frame),), (Port("frames", Frame),)
    )
    Config = FadeConfig

    def process(self, inputs: Inputs) -> Outputs:
        return {"frames": inputs.get("frames", Frame)}
'''


@contextmanager
def installed_package(
    site: Path,
    module: str,
    text: str,
    *,
    points: dict[str, str],
    recorded: bool = True,
    version: str = "1.0",
) -> Generator[Path]:
    """Put a distribution of one module on the path for a while; yield the module's file.

    Args:
        site: the folder.
        module: its name.
        text: its source.
        points: node type -> what it is registered as.
        recorded: whether the distribution says that it installed the file; else it is editable.
        version: of the distribution.
    """
    about = site / f"{module}-{version}.dist-info"
    about.mkdir(parents=True)
    file = site / f"{module}.py"
    file.write_text(text, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
    lines = ["[aminet.nodes]", *(f"{name} = {value}" for name, value in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    if recorded:
        (about / "RECORD").write_text(f"{module}.py,,\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)  # pyright: ignore[reportUnknownMemberType]
        registered_nodes.cache_clear()
        try:
            yield file
        finally:
            registered_nodes.cache_clear()
