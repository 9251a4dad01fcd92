"""Settings that name files: a relative name in a file counts from where that file lies.

A setting names a file if its type says so: `Path`, or `nodes.values.FileName`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel

from nodes.errors import NodeConfigError
from nodes.registry import find_node
from nodes.values import FileName
from pipeline.graph.spec import GraphSpec

__all__ = ["Keys", "counted_from", "file_settings", "keys_of_files"]

Keys = frozenset[tuple[str, ...]]
"""Where settings are, as the keys that lead to them."""

_MARK = get_args(FileName)[1]


def keys_of_files(spec: GraphSpec) -> Keys:
    """Return where a graph file has names of files: settings of nodes, and parameters for them.

    Node types that cannot be loaded have none: what is wrong with them is said when the graph is
    built.
    """
    keys: set[tuple[str, ...]] = set()
    for name, entry in spec.nodes.items():
        try:
            node_class = find_node(entry.type) if isinstance(entry.type, str) else entry.type
        except NodeConfigError:
            continue
        for setting in file_settings(node_class.Config):
            keys.add(("nodes", name, "config", setting))
            value = entry.config.get(setting)
            if isinstance(value, str) and value.startswith("$"):
                keys.add(("params", value[1:]))
    return frozenset(keys)


def file_settings(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of a model's settings that name files."""
    for name, field in model.model_fields.items():
        if _names_file(field.annotation) or _MARK in field.metadata:
            yield name


def _names_file(kind: object) -> bool:
    if isinstance(kind, type):
        return issubclass(kind, Path)
    return _MARK in get_args(kind) or any(map(_names_file, get_args(kind)))


def counted_from(folder: Path, data: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """Return settings in which relative names of files count from a folder.

    A name without a suffix and a slash is left as it is: what ships is called by such names.

    Args:
        folder: where the file lies that the settings are from.
        data: the settings; not changed.
        keys: which of them name files.
    """
    out = dict(data)
    for key, value in data.items():
        below = frozenset(path[1:] for path in keys if path[0] == key)
        if isinstance(value, dict) and below:
            out[key] = counted_from(folder, cast("dict[str, Any]", value), below - {()})
        elif () in below and isinstance(value, str) and _is_relative(value):
            out[key] = str(folder / value)
    return out


def _is_relative(name: str) -> bool:
    path = Path(name)
    if path.is_absolute() or "://" in name or name.startswith(("~", "$")):
        return False
    return bool(path.suffix) or "/" in name
