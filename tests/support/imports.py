"""What the project's files import, read from their text: nothing is imported to find out."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Import", "imports_of", "loaded_by", "modules_in"]


@dataclass(frozen=True, slots=True)
class Import:
    """One module that a file imports."""

    module: str
    """Its full name: `from nodes.media import open` imports `nodes.media.open`."""
    at_load: bool
    """Whether it is imported with the file: not inside a function, not for type checkers only."""


def modules_in(root: Path, packages: Collection[str]) -> dict[str, Path]:
    """Return the modules of packages that lie in `root`: full name -> file."""
    found: dict[str, Path] = {}
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports_of(text: str, modules: Collection[str]) -> set[Import]:
    """Return what a file imports, anywhere in it.

    Args:
        text: the file's.
        modules: names of the project's modules, to tell them from the names inside them.

    Raises:
        ValueError: an import is relative.
    """
    found: set[Import] = set()
    for node, at_load in _statements(ast.parse(text), at_load=True):
        if isinstance(node, ast.Import):
            found.update(Import(alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"line {node.lineno} imports relatively")
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(Import(inner if inner in modules else node.module, at_load))
    return found


def loaded_by(module: str, imports: Mapping[str, Collection[Import]]) -> set[str]:
    """Return every module that importing one loads, over however many others.

    Args:
        module: the one.
        imports: of each of the project's modules.
    """
    loaded: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in loaded:
            continue
        loaded.add(name)
        # A package is loaded before what is in it.
        waiting.extend([name.rpartition(".")[0]] if "." in name else [])
        waiting.extend(found.module for found in imports.get(name, ()) if found.at_load)
    return loaded


def _statements(node: ast.AST, *, at_load: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node below one, with whether it is run when the file is imported."""
    for child in ast.iter_child_nodes(node):
        late = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        late = late or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield child, at_load
        yield from _statements(child, at_load=at_load and not late)
