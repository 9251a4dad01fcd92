"""Whose fault an error is: what a node raises is told with the node's name in the graph.

A graph holds nodes of several packages, often several of one type.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager

from aminet.errors import AminetError, first_line
from pipeline.errors import NodeFailedError
from pipeline.graph.graph import GraphNode

__all__ = ["naming", "with_name"]


def with_name(
    entry: GraphNode, error: BaseException, kind: type[NodeFailedError] = NodeFailedError
) -> BaseException:
    """Return an error of a node as one that names the node.

    An error of this project keeps its class, attributes and exit code. Anything else, `sys.exit`
    included, becomes a `kind`, which travels between processes as it is. Interrupts reach only the
    main thread and are returned unchanged there.
    """
    if isinstance(error, AminetError):
        if not error.message.startswith(entry.label):
            error.message = f"{entry.label}: {error.message}"
        return error
    if isinstance(error, KeyboardInterrupt) and _in_main_thread():
        return error
    name, line = type(error).__name__, first_line(error)
    what = name if line == name else f"{name}: {line}"
    text = "".join(traceback.format_exception(error))
    failed = kind(f"{entry.label}: {what}", node=entry.name, trace=text)
    failed.__cause__ = error
    return failed


@contextmanager
def naming(entry: GraphNode, kind: type[NodeFailedError] = NodeFailedError) -> Generator[None]:
    """Have every error in a block name a node; see `with_name`."""
    try:
        yield
    except BaseException as error:
        named = with_name(entry, error, kind)
        if named is error:
            raise
        raise named from error


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
