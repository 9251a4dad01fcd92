"""The table and the picture of docs/tracking.md, from what `measure_tracks` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

__all__ = ["EDGES_PX", "plot", "table"]

EDGES_PX: Final = (12, 16, 20, 24, 32, 48, 64, 96, 140, 280)
"""Classes of face widths."""


def plot(numbers: dict[str, Any], path: Path) -> None:
    """Draw recall over face width, with what is asked for."""
    from matplotlib import pyplot as plt

    recall: dict[int, float] = numbers["recall_by_width_px"]
    counts: dict[int, int] = numbers["faces_by_width_px"]
    labels = [_class(edge) for edge in recall]
    figure, axes = plt.subplots(figsize=(7, 3.6))
    bars = axes.bar(labels, [100 * share for share in recall.values()], color="#4477aa")
    axes.bar_label(bars, [f"n={count}" for count in counts.values()], fontsize=7)
    for low, high, least in ((16, 24, 80), (24, EDGES_PX[-1], 95)):
        placements = [place for place, edge in enumerate(recall) if low <= edge < high]
        axes.hlines(least, placements[0] - 0.5, placements[-1] + 0.5, "#cc3311")
    axes.set(ylim=(0, 108), xlabel="face width, px", ylabel="recall, % (red: asked for)")
    axes.grid(axis="y", alpha=0.4)
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)


def _class(edge_px: int) -> str:
    after = [edge for edge in EDGES_PX if edge > edge_px]
    return f"{edge_px}-{after[0]}" if after else f"{edge_px}-"


def table(numbers: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    asked = (
        ("recall, faces from 24 px", ">= 95 %", numbers["recall_from_24_px"]),
        ("recall, faces of 16 to 24 px", ">= 80 %", numbers["recall_16_to_24_px"]),
        ("recall from the first frame on, from 24 px", "", numbers["recall_from_24_px_at_once"]),
        ("precision", ">= 98 %", numbers["precision"]),
        ("jitter, still face", "<= 0.5 %", numbers["jitter_of_eye_distance"]),
        ("jitter, still face, sensor noise", "", numbers["jitter_with_sensor_noise"]),
    )
    lines = ["| figure | asked for | measured |", "|---|---|---|"]
    lines += [f"| {name} | {goal} | {100 * value:.2f} % |" for name, goal, value in asked]
    switches, ms = numbers["id_switches_per_track"], numbers["cpu_ms_per_1080p_frame_with_4_faces"]
    lines.append(f"| id switches a track | <= 0.05 | {switches:.3f} |")
    lines.append(f"| CPU ms a 1080p frame with 4 faces | <= 40 | {ms} |")
    lines += [
        "",
        "| film | people | recall 16-24 | recall 24- | precision | switches | looks | ms |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, film in numbers["films"].items():
        shares = [film["recall_16_to_24_px"], film["recall_from_24_px"], film["precision"]]
        cells = " | ".join("-" if share is None else f"{100 * share:.1f} %" for share in shares)
        rest = f"{film['id_switches']} | {film['looks_per_frame']} | {film['cpu_ms_per_frame']}"
        lines.append(f"| {name} | {film['people']} | {cells} | {rest} |")
    lines += ["", "| picture, faces | CPU ms a frame |", "|---|---|"]
    lines += [f"| {name} | {ms} |" for name, ms in numbers["cpu_ms_by_size_and_faces"].items()]
    return "\n".join(lines) + "\n"
