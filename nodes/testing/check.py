"""The whole check of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.node import Node, Port, SourceNode, Timed
from nodes.testing.run import NodeRun
from nodes.testing.samples import sample_info, sample_packets
from nodes.testing.static import check_config, check_spec, check_unused
from nodes.types import VideoInfo

__all__ = ["check_node"]


def check_node(
    node_class: type[Node[Any]],
    *,
    packets: Mapping[str, Sequence[Timed]] | None = None,
    infos: Mapping[str, VideoInfo] | None = None,
    **config: Any,
) -> None:
    """Make sure that a node keeps the contract.

    Args:
        node_class: the node; of a source only what can be seen without a video is checked.
        packets: for each input port, what arrives there, of the same pts in each; needed for ports
            whose types are not of `nodes.types`.
        infos: for each of these ports the video of its packets; needed where that is not
            `sample_info("yuv420p")`.
        config: settings of the node's configuration.

    Raises:
        AssertionError: it does not; the message says what and where.
    """
    settings = node_class.Config(**config)
    check_spec(node_class)
    check_config(node_class, settings)
    check_unused(node_class, settings, sample_info("yuv420p"))
    if issubclass(node_class, SourceNode):
        return
    for pix_fmt in ("yuv420p",) if infos else ("yuv420p", "yuv420p10le"):
        given = packets or _for_ports(node_class, sample_packets(pix_fmt))
        NodeRun(node_class, settings, given, sample_info(pix_fmt), infos).check()


def _for_ports(
    node_class: type[Node[Any]], packets: Mapping[type, Sequence[Timed]]
) -> dict[str, Sequence[Timed]]:
    return {port.name: _for_port(port, packets) for port in node_class.spec.inputs}


def _for_port(port: Port, packets: Mapping[type, Sequence[Timed]]) -> Sequence[Timed]:
    if port.type in packets:
        return packets[port.type]
    raise AssertionError(
        f"input {port.name!r} takes {port.type.__name__}, of which there are no samples here: give"
        f" packets={{{port.name!r}: [...]}}"
    )
