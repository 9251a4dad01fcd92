"""Where graphs and other configurations lie: those that ship with the program, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aminet.errors import did_you_mean
from pipeline.errors import ConfigError, GraphError

__all__ = ["available_graphs", "graph_file", "shipped_configs"]

_SUFFIXES: Final = (".yaml", ".yml")
_PACKAGE: Final = Path(__file__).parents[1]
# In a checkout they lie at the top; in an installed wheel, inside this package.
_CONFIG_DIRS: Final = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def graph_file(graph: str, folder: Path | None = None) -> Path:
    """Return the file of a graph.

    Args:
        graph: the name of one that ships, or a file.
        folder: that relative files count from, None for the working folder.

    Raises:
        ConfigError: it is neither.
    """
    named = {path.stem: path for path in available_graphs()}
    path = named.get(graph) or (folder or Path()) / graph
    if path.suffix not in _SUFFIXES:
        beside = [f"{graph}{suffix}" for suffix in _SUFFIXES if Path(f"{path}{suffix}").is_file()]
        hint = f": did you mean {beside[0]!r}?" if beside else did_you_mean(graph, named)
        raise ConfigError(
            f"no graph {graph!r}{hint or ':'} expected one of {', '.join(named)}, or a .yaml file"
        )
    return path


def available_graphs() -> list[Path]:
    """Return the graph files that ship with the program."""
    graphs = shipped_configs("graphs")
    if not graphs:
        raise GraphError("the graphs that ship with the program are missing: install it again")
    return graphs


def shipped_configs(folder: str) -> list[Path]:
    """Return the YAML files that ship in a folder of `configs`, such as `graphs` or `train`."""
    folders = (top / folder for top in _CONFIG_DIRS)
    return next((sorted(folder.glob("*.yaml")) for folder in folders if folder.is_dir()), [])
