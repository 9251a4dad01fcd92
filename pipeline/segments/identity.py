"""The identity of a segment's result. Results with the same identity are not made again."""

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
from pipeline.url_secrets import redacted_values

__all__ = ["Identity", "content_ids", "fingerprint", "identify", "settings_digest"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Digests of all that a video's segments depend on."""

    input: str
    """Content of the source."""
    plan: str
    """The segment plan, and the encoder's threads."""
    settings: str
    """The graph with the settings of all nodes."""
    weights: str
    """The files that nodes load, such as the network's weights."""
    version: str
    """Of this package, and of the code of each node in the graph."""
    libraries: str = ""
    """The versions of what touches pixels; earlier reports do not say."""

    @property
    def key(self) -> str:
        """A digest of all of them."""
        return _digest(asdict(self))

    def changes_since(self, earlier: Identity) -> str:
        """Return what differs as text, such as `the settings and the weights changed`."""
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
        settings=settings_digest(graph.resolved()),
        weights=_digest(dict(contents)),
        version=_version(graph),
        libraries=_digest(pixel_versions()),
    )


def _version(graph: Graph) -> str:
    code = code_versions(node.node_class for node in graph.nodes)
    return f"aminet-video {version('aminet-video')}; {code}"


def fingerprint(source: str, scan: PacketScan | None) -> str:
    """Return a fingerprint of an input: the SHA-256 of its content.

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


def settings_digest(resolved: Mapping[str, Any]) -> str:
    """Return the digest of a graph with every setting, from `Graph.resolved` or from a report.

    Reports lack the passwords of URLs, so the digest does not depend on them.
    """
    return _digest(redacted_values(resolved))


def content_ids(nodes: Mapping[str, Node[NodeConfig]]) -> dict[str, str]:
    """Return `Node.content_id` of each prepared node, by name."""
    return {name: node.content_id() for name, node in nodes.items()}


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
