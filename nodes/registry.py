"""Finding the installed node types, which packages register as entry points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import cast

from nodes.errors import NodeConfigError
from nodes.node import API_VERSION, Node, NodeConfig

__all__ = ["ENTRY_POINT_GROUP", "find_node", "registered_nodes"]

ENTRY_POINT_GROUP = "aminet.nodes"


@cache
def registered_nodes() -> Mapping[str, str]:
    """Return the registered node types: name -> `module:Class`. Imports none of them.

    Raises:
        NodeConfigError: two packages claim one name.
    """
    found: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if found.setdefault(point.name, point.value) != point.value:
            raise NodeConfigError(
                f"node type {point.name!r} is registered by both {found[point.name]!r} and"
                f" {point.value!r}: uninstall one of the packages"
            )
    return dict(sorted(found.items()))


def find_node(type_name: str) -> type[Node[NodeConfig]]:
    """Import and return the node class registered as `type_name`.

    Raises:
        NodeConfigError: nothing is registered under that name, or it was written for another
            version of this contract.
    """
    known = registered_nodes()
    if type_name not in known:
        raise NodeConfigError(f"unknown node type {type_name!r}; known: {', '.join(known)}")
    (point,) = {p for p in entry_points(group=ENTRY_POINT_GROUP) if p.name == type_name}
    node_class = cast("type[Node[NodeConfig]]", point.load())
    if node_class.spec.api_version != API_VERSION:
        raise NodeConfigError(
            f"node type {type_name!r} was written for node API {node_class.spec.api_version},"
            f" this is {API_VERSION}: install a matching version of its package"
        )
    return node_class
