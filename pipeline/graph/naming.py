"""Whose fault an error is: what a node raises is told with the node's name in the graph.

A graph holds nodes of several packages, often several of one type.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from contextlib import contextmanager

from aminet.errors import AminetError
from pipeline.errors import NodeFailedError
from pipeline.graph.graph import GraphNode

__all__ = ["naming", "with_name"]


def with_name(entry: GraphNode, error: BaseException) -> BaseException:
    """Return an error of a node as one that names the node.

    An error of this project keeps its class, attributes and exit code. Anything else that is no
    interrupt becomes a `NodeFailedError`, which travels between processes as it is.
    """
    if isinstance(error, AminetError):
        if not error.message.startswith(entry.label):
            error.message = f"{entry.label}: {error.message}"
        return error
    if not isinstance(error, (Exception, SystemExit)):
        return error
    kind = type(error).__name__
    lines = str(error).strip().splitlines()
    what = f"{kind}: {lines[0]}" if lines else kind
    text = "".join(traceback.format_exception(error))
    failed = NodeFailedError(f"{entry.label}: {what}", node=entry.name, trace=text)
    failed.__cause__ = error
    return failed


@contextmanager
def naming(entry: GraphNode) -> Generator[None]:
    """Have every error in a block name a node."""
    try:
        yield
    except BaseException as error:
        named = with_name(entry, error)
        if named is error:
            raise
        raise named from error
