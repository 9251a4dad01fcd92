"""What is asked of every node while it runs: its answers are of the right type and time."""

from __future__ import annotations

import json
import logging
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from nodes.node import Node, NodeConfig, Outputs
from nodes.types import VideoInfo
from pipeline.errors import NodeFailedError
from pipeline.graph.graph import GraphNode
from pipeline.graph.naming import naming

__all__ = ["check_info", "check_outputs", "check_report", "close_all", "report_of"]

log = logging.getLogger(__name__)

_STRICT: Final = ConfigDict(strict=True)
_MEANINGS: Final[Mapping[str, tuple[TypeAdapter[Any], str]]] = {
    "warnings": (TypeAdapter(list[str], config=_STRICT), "a list of texts"),
    "left_alone": (
        TypeAdapter(dict[str, Annotated[int, Field(ge=0)]], config=_STRICT),
        "counts by reasons in words",
    ),
    "generative_faces": (TypeAdapter(Annotated[int, Field(ge=0)], config=_STRICT), "a count"),
}
"""Type, and the same in words, of what `nodes.node.Node.report` may contain for the whole run."""


def check_info(info: object) -> VideoInfo:
    """Return what a node's `open` answered.

    Raises:
        NodeFailedError: it is no `VideoInfo`.
    """
    if isinstance(info, VideoInfo):
        return info
    raise NodeFailedError(
        f"open returned a {type(info).__name__}, expected the VideoInfo of its outputs: the one it"
        " was given if it changes nothing of it"
    )


def check_outputs(entry: GraphNode, answer: object, pts: int | None = None) -> int:
    """Make sure that a node sent one packet of the right type and time on each of its ports.

    Args:
        entry: the node.
        answer: what it answered.
        pts: of the packets that it was given, None for a source.

    Returns:
        The packets' common pts.

    Raises:
        NodeFailedError: it did not.
    """
    ports = entry.spec.outputs
    if not isinstance(answer, Mapping):
        raise NodeFailedError(
            f"returned a {type(answer).__name__}, expected a packet for each of its ports"
            f" ({', '.join(port.name for port in ports)}), by name"
        )
    outputs = cast("Outputs", answer)
    for port in ports:
        if port.name not in outputs:
            raise NodeFailedError(f"sent nothing on port {port.name!r}, expected a packet a frame")
        packet = outputs[port.name]
        if not isinstance(packet, port.type):
            got, want = type(packet).__name__, port.type.__name__
            raise NodeFailedError(f"sent a {got} on port {port.name!r}, expected a {want}")
        pts = packet.pts if pts is None else pts
        if packet.pts != pts:
            raise NodeFailedError(
                f"sent pts {packet.pts} on port {port.name!r}, expected the frame's, {pts}"
            )
    if len(outputs) != len(ports):
        unknown = sorted(outputs.keys() - {port.name for port in ports})
        raise NodeFailedError(f"sent packets on ports that it does not have: {', '.join(unknown)}")
    assert pts is not None  # noqa: S101 - a source has outputs, all others have inputs
    return pts


def report_of(entry: GraphNode, node: Node[NodeConfig]) -> dict[str, Any]:
    """Return a node's report.

    Raises:
        NodeFailedError: see `check_report`.
    """
    with naming(entry):
        return check_report(node.report())


def check_report(report: object) -> dict[str, Any]:
    """Return a node's report, or that of all segments.

    Raises:
        NodeFailedError: it is no mapping, has keys that JSON cannot hold, or gives what means the
            same in all nodes' reports as something else.
    """
    if not isinstance(report, dict):
        got = type(report).__name__
        raise NodeFailedError(f"report returned a {got}, expected a dict for JSON")
    json.dumps(report, default=str)
    checked = cast("dict[str, Any]", report)
    for key in _MEANINGS.keys() & checked.keys():
        adapter, expected = _MEANINGS[key]
        try:
            adapter.validate_python(checked[key])
        except ValidationError:
            raise NodeFailedError(
                f"report has {key}={reprlib.repr(checked[key])}, expected {expected}"
            ) from None
    return checked


def close_all(opened: Mapping[str, tuple[GraphNode, Node[NodeConfig]]], *, failed: bool) -> None:
    """Close nodes, last opened first, whatever some of them raise.

    Args:
        opened: by name.
        failed: whether there is an error already, which is the one to tell of.

    Raises:
        Exception: the first error, unless there is one already.
    """
    first: BaseException | None = None
    for entry, node in reversed([*opened.values()]):
        try:
            with naming(entry):
                node.close()
        except (Exception, SystemExit) as error:
            log.debug("closing", exc_info=error)
            first = first or error
    if first is not None and not failed:
        raise first
