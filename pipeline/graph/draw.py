"""Graphs as pictures: Mermaid for Markdown pages, SVG for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from pipeline.graph.graph import Graph, GraphNode

__all__ = ["mermaid", "svg"]

_WIDTH_PX: Final = 150
_HEIGHT_PX: Final = 44
_GAP_PX: Final = (90, 30)
"""Between columns, and between rows."""
_MARGIN_PX: Final = 20
_STYLE: Final = (
    "text{font:13px sans-serif;fill:#222;text-anchor:middle}"
    ".type,.port{font-size:11px;fill:#666}"
    "rect{fill:#f4f6f8;stroke:#8795a1}"
    "path{fill:none;stroke:#8795a1}"
)


def mermaid(graph: Graph) -> str:
    """Return the dataflow as a Mermaid flowchart: nodes with their types, edges with ports."""
    ids = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = f"{node.name}<br>{node.spec.type_name}".replace('"', "#quot;")
        lines.append(f'    {ids[node.name]}["{label}"]')
    lines.extend(
        f"    {ids[edge.node]} -->|{edge.port}| {ids[node.name]}"
        for node in graph.nodes
        for edge in node.inputs.values()
    )
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a node is drawn: its column and row."""

    column: int
    row: int

    @property
    def x_px(self) -> int:
        return _MARGIN_PX + self.column * (_WIDTH_PX + _GAP_PX[0])

    @property
    def y_px(self) -> int:
        return _MARGIN_PX + self.row * (_HEIGHT_PX + _GAP_PX[1])


def svg(graph: Graph) -> str:
    """Return the dataflow as an SVG picture: data flows to the right, a line for each edge.

    A node stands one column after the last of those that feed it. In each column the nodes are in
    the order of the mean rows of those that feed them, which keeps lines short.
    """
    spots = _placed(graph.nodes)
    width = max(spot.x_px for spot in spots.values()) + _WIDTH_PX + _MARGIN_PX
    height = max(spot.y_px for spot in spots.values()) + _HEIGHT_PX + _MARGIN_PX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">',
        f"<title>{escape(graph.name)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
        ' markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" style="fill:#8795a1"/></marker>'
        "</defs>",
        f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>',
    ]
    for node in graph.nodes:
        feeds = list(node.inputs.items())
        for index, (_, edge) in enumerate(feeds):
            share = (index + 1) / (len(feeds) + 1)
            lines += _edge(spots[edge.node], spots[node.name], share, edge.port)
    for node in graph.nodes:
        lines += _box(spots[node.name], node)
    return "\n".join([*lines, "</svg>"])


def _placed(nodes: Sequence[GraphNode]) -> dict[str, _Spot]:
    columns: dict[str, int] = {}
    for node in nodes:
        before = [columns[edge.node] for edge in node.inputs.values()]
        columns[node.name] = max(before, default=-1) + 1
    spots: dict[str, _Spot] = {}
    for column in range(max(columns.values()) + 1):
        own = [node for node in nodes if columns[node.name] == column]
        wanted = {
            node.name: sum(rows) / len(rows) if rows else 0.0
            for node in own
            for rows in [[spots[edge.node].row for edge in node.inputs.values()]]
        }
        ordered = sorted(own, key=lambda node: wanted[node.name])
        spots |= {node.name: _Spot(column, row) for row, node in enumerate(ordered)}
    return spots


def _edge(start: _Spot, end: _Spot, share: float, port: str) -> list[str]:
    x0, y0 = start.x_px + _WIDTH_PX, start.y_px + _HEIGHT_PX // 2
    x1, y1 = end.x_px, round(end.y_px + share * _HEIGHT_PX)
    bend = _GAP_PX[0] // 2
    # A line over several columns passes below the boxes in between.
    low = max(start.y_px, end.y_px) + _HEIGHT_PX + _GAP_PX[1] // 2
    if end.column == start.column + 1:
        way = f"M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"
        text = (x0 + x1) // 2, (y0 + y1) // 2 - 3
    else:
        way = (
            f"M{x0} {y0}C{x0 + bend} {y0} {x0} {low} {x0 + bend} {low}"
            f"L{x1 - bend} {low}C{x1} {low} {x1 - bend} {y1} {x1} {y1}"
        )
        text = x0 + bend + 20, low - 3
    return [
        f'<path d="{way}" marker-end="url(#tip)"/>',
        f'<text class="port" x="{text[0]}" y="{text[1]}">{escape(port)}</text>',
    ]


def _box(spot: _Spot, node: GraphNode) -> list[str]:
    middle = spot.x_px + _WIDTH_PX // 2
    name, kind = escape(node.name), escape(node.spec.type_name)
    return [
        f'<rect x="{spot.x_px}" y="{spot.y_px}" width="{_WIDTH_PX}" height="{_HEIGHT_PX}" rx="6">'
        f"<title>{escape(node.spec.summary)}</title></rect>",
        f'<text x="{middle}" y="{spot.y_px + 19}">{name}</text>',
        f'<text class="type" x="{middle}" y="{spot.y_px + 35}">{kind}</text>',
    ]
