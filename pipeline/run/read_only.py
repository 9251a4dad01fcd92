"""Making sure that a node does not write into the packets that it is given.

Several nodes hold the same packet and run at the same time: what one of them writes into it reaches
some outputs and not others. Of a frame with the decoder's own picture the source's packets may be
copied, so that the change is lost. libav's pictures cannot be locked: they are compared before and
after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from nodes.node import Inputs
from pipeline.errors import NodeFailedError
from pipeline.graph.graph import GraphNode

__all__ = ["watched"]

_NOTHING: Final = np.zeros((2, 0), np.uint64)
_Marks = dict[int, npt.NDArray[np.uint64]]
"""Numbers for the rows of each picture and array, by the `id` of what they are of."""


def watched(entry: GraphNode, inputs: Inputs) -> Callable[[], None]:
    """Return a function that makes sure that nothing was written into a node's packets since.

    It raises `NodeFailedError` if this node did, or one that holds the same packets. Nodes of this
    package are held to it by their tests, so that nothing is computed for them.

    Args:
        entry: the node.
        inputs: what it is given.
    """
    if entry.node_class.__module__.partition(".")[0] == "nodes":
        return lambda: None
    ports = [port for port in entry.spec.inputs if port.name in entry.inputs]
    packets = [inputs.get(port.name, port.type) for port in ports]
    before = _marks(packets)

    def check() -> None:
        after = _marks(packets)
        if any(not np.array_equal(marks, after[key]) for key, marks in before.items()):
            raise NodeFailedError(
                "the samples of a packet that it was given changed meanwhile. Packets are shared"
                " with other nodes: change a copy (nodes.picture.regions.copy_picture, numpy's"
                " copy) and send that"
            )

    return check


def _marks(packets: Sequence[object]) -> _Marks:
    marks: _Marks = {}
    _mark(packets, marks)
    return marks


def _mark(value: object, marks: _Marks) -> None:
    if id(value) in marks:
        return
    if isinstance(value, av.VideoFrame):
        planes = [_of_plane(plane) for plane in value.planes]
        marks[id(value)] = np.concatenate([_NOTHING, *planes], axis=1)
    elif isinstance(value, np.ndarray):
        marks[id(value)] = _of_array(cast("npt.NDArray[Any]", value))
    elif is_dataclass(value):
        for field in fields(value):
            _mark(getattr(value, field.name), marks)
    elif isinstance(value, Mapping):
        for item in cast("Mapping[Any, object]", value).values():
            _mark(item, marks)
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[object]", value):
            _mark(item, marks)


def _of_plane(plane: VideoPlane) -> npt.NDArray[np.uint64]:
    if plane.line_size < 0:  # stored from below: PyAV gives its last line, and what lies behind it
        return _NOTHING
    codes = np.frombuffer(cast("memoryview[int]", plane), np.uint8)
    # A palette has no lines.
    return _of_rows(codes.reshape(-1, plane.line_size or codes.size))


def _of_array(array: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    if array.dtype.hasobject or not array.size:
        return _NOTHING
    rows = np.ascontiguousarray(array).reshape(array.shape[0] if array.ndim else 1, -1)
    return _of_rows(rows.view(np.uint8))


def _of_rows(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return a sum for each row of bytes; by words, which is as fast as memory is read."""
    whole = rows.shape[1] // 8 * 8
    words = rows[:, :whole].view(np.uint64) if whole else rows[:, :0].astype(np.uint64)
    return np.stack([words.sum(axis=1), rows[:, whole:].sum(axis=1, dtype=np.uint64)])
