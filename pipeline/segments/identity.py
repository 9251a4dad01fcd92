"""What a segment's result depends on: the same identity means that it need not be done again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from nodes.code_version import code_versions
from nodes.media.picture_files import files_of
from nodes.node import Node, NodeConfig
from pipeline.containers.probe import PacketScan
from pipeline.evidence.versions import pixel_versions
from pipeline.graph.graph import Graph
from pipeline.segments.plan import SegmentPlan
from pipeline.storage.digests import file_sha256

__all__ = ["Identity", "content_ids", "fingerprint", "identify"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Digests of everything that a video's segments depend on."""

    input: str
    """The source's content."""
    plan: str
    """Where it is cut, and the encoder's threads."""
    settings: str
    """The graph with every setting of every node."""
    weights: str
    """The files that nodes load, such as the network's weights."""
    version: str
    """Of this package, and of the code of each node in the graph."""
    libraries: str = ""
    """The versions of what touches pixels; earlier reports do not say."""

    @property
    def key(self) -> str:
        """One digest of all."""
        return _digest(asdict(self))

    def changes_since(self, earlier: Identity) -> str:
        """Say in words what is not as it was, such as `the settings and the weights changed`."""
        names = [
            f"the {field.name}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(earlier, field.name)
        ]
        return f"{' and '.join(names)} changed" if names else "nothing changed"


def identify(
    *,
    fingerprint: str,
    plan: SegmentPlan,
    graph: Graph,
    contents: Mapping[str, str],
    threads: int,
) -> Identity:
    """Return the identity of a video's segments.

    Args:
        fingerprint: of the source, from `fingerprint`.
        plan: where it is cut.
        graph: the dataflow with its settings.
        contents: of the files that its nodes load, from `content_ids`.
        threads: CPU threads of each segment: encoders' output depends on them.
    """
    intervals = [asdict(interval) for interval in plan.intervals]
    return Identity(
        input=fingerprint,
        plan=_digest([intervals, threads]),
        settings=_digest(graph.resolved()),
        weights=_digest(dict(contents)),
        version=_version(graph),
        libraries=_digest(pixel_versions()),
    )


def _version(graph: Graph) -> str:
    code = code_versions(node.node_class for node in graph.nodes)
    return f"aminet-video {version('aminet-video')}; {code}"


def fingerprint(source: str, scan: PacketScan | None) -> str:
    """Tell one input from another by the SHA-256 of all that it holds.

    Where a file lies and when it was copied does not matter. What is read from the network is
    known by its address alone.

    Args:
        source: path or URL.
        scan: its packets, None for what is read only once.

    Raises:
        OSError: the file cannot be read.
    """
    if scan is None:
        return _digest(source)
    return _digest([*(file_sha256(path) for path in files_of(source)), scan.digest])


def content_ids(nodes: Mapping[str, Node[NodeConfig]]) -> dict[str, str]:
    """Return for each node of a graph, as `prepared` makes them, the content of what it loads."""
    return {name: node.content_id() for name, node in nodes.items()}


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
