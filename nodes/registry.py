"""Finding the installed node types, which packages register as entry points.

A package that cannot be loaded, or that claims another one's name, harms only graphs that use it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from aminet.errors import did_you_mean, first_line
from nodes.errors import NodeConfigError
from nodes.node import API_VERSION, Node, NodeConfig, NodeSpec

__all__ = ["ENTRY_POINT_GROUP", "find_node", "registered_nodes"]

ENTRY_POINT_GROUP = "aminet.nodes"


@cache
def registered_nodes() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Return who registers each node type, by its name. Imports none of them.

    More than one entry point for a name means that packages disagree about it.
    """
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(point.name, {}).setdefault(point.value, point)
    return {name: tuple(points.values()) for name, points in sorted(found.items())}


def find_node(type_name: str) -> type[Node[NodeConfig]]:
    """Import and return the node class registered as `type_name`.

    Raises:
        NodeConfigError: nothing is registered under that name, two packages claim it, it cannot be
            loaded, or it was written for another version of this contract.
    """
    known = registered_nodes()
    if type_name not in known:
        raise NodeConfigError(
            f"unknown node type {type_name!r}"
            + (did_you_mean(type_name, known) or f"; known: {', '.join(known)}")
        )
    point, *others = known[type_name]
    if others:
        claims = " and ".join(sorted(repr(claim.value) for claim in (point, *others)))
        raise NodeConfigError(
            f"node type {type_name!r} is registered by both {claims}: uninstall one of the packages"
        )
    node_class = _loaded(point)
    if node_class.spec.api_version != API_VERSION:
        raise NodeConfigError(
            f"node type {type_name!r} was written for node API {node_class.spec.api_version},"
            f" this is {API_VERSION}: install a matching version of its package"
        )
    if node_class.spec.type_name != type_name:
        raise NodeConfigError(
            f"node type {type_name!r} calls itself {node_class.spec.type_name!r}: its package has"
            " to use one name for both"
        )
    return node_class


def _loaded(point: EntryPoint) -> type[Node[NodeConfig]]:
    package = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    what = f"node type {point.name!r}{package} cannot be loaded"
    try:
        found: object = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise NodeConfigError(f"{what}: {type(error).__name__}: {first_line(error)}") from error
    if not (inspect.isclass(found) and issubclass(found, Node)):
        raise NodeConfigError(f"{what}: {point.value} is no subclass of nodes.node.Node")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise NodeConfigError(f"{what}: {point.value} does not define {missing}")
    if not isinstance(getattr(found, "spec", None), NodeSpec):
        raise NodeConfigError(f"{what}: {point.value}.spec is no NodeSpec")
    config = getattr(found, "Config", None)
    if not (inspect.isclass(config) and issubclass(config, NodeConfig)):
        raise NodeConfigError(f"{what}: {point.value}.Config is no subclass of NodeConfig")
    return cast("type[Node[NodeConfig]]", found)
