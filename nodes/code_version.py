"""Which code a node is made of, so that what an edited node made before is not called done.

A distribution that is installed as it was released is known by its version. Code that is edited
where it lies, or belongs to no distribution, is known by a digest of its source.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from nodes.node import Node

__all__ = ["code_versions"]


def code_versions(node_classes: Iterable[type[Node[Any]]]) -> str:
    """Return what names the code of some node classes and of the network.

    The same text means the same code, on this machine and on others: `acme-nodes 1.2; nodes
    (source 0123456789abcdef)`.
    """
    found = {_of_module("aminet"), *map(_of_class, node_classes)}
    return "; ".join(sorted(found))


def _of_class(node_class: type[Node[Any]]) -> str:
    module = node_class.__module__
    if getattr(sys.modules.get(module), "__file__", None) is not None:
        return _of_module(module)
    try:
        text = inspect.getsource(node_class)
    except (OSError, TypeError):
        text = ""  # typed in somewhere: nothing tells one from another
    return f"{module}.{node_class.__qualname__} (source {_digest([('', text.encode())])})"


@cache
def _of_module(module: str) -> str:
    path = Path(str(sys.modules[module].__file__)).resolve()
    depth = len(module.split(".")) - (path.name != "__init__.py")
    # The outermost package's folder, or the module's own file.
    root = path.parents[depth - 1] if depth else path
    released = _released_as(path, root.parent)
    if released is not None:
        return released
    files = [root] if root.is_file() else sorted(root.rglob("*.py"))
    contents = ((file.relative_to(root.parent).as_posix(), file.read_bytes()) for file in files)
    return f"{root.stem} (source {_digest(contents)})"


def _released_as(path: Path, folder: Path) -> str | None:
    """Return name and version of the distribution that put a file into a folder, if one did."""
    name = path.relative_to(folder).as_posix()
    for distribution in distributions(path=[str(folder)]):
        record = distribution.read_text("RECORD") or ""
        if f"\n{name}," in f"\n{record}":
            return f"{distribution.metadata['Name']} {distribution.version}"
    return None


def _digest(contents: Iterable[tuple[str, bytes]]) -> str:
    digest = sha256()
    for name, content in contents:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
