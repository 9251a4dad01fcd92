"""Which runner a job takes: this process alone, or Ray."""

from __future__ import annotations

from typing import Final

__all__ = ["choose_runner"]

SEGMENTS_WORTH_RAY: Final = 4
CORES_WORTH_RAY: Final = 4
"""From so many segments on so many cores, one video earns back what starting Ray costs."""


def choose_runner(
    requested: str, *, videos: int, segments: int, cores: int, address: str | None
) -> tuple[str, str]:
    """Return the runner to take, `local` or `ray`, and why.

    Starting Ray costs about 10 s, which one short video does not earn back on one machine, nor does
    one on few cores: the local runner keeps those busy.

    Args:
        requested: `auto`, or the name of a runner.
        videos: to be done.
        segments: to be done, of all videos.
        cores: of this machine that may be used.
        address: of a Ray cluster, if one is configured.
    """
    if requested != "auto":
        return requested, "asked for"
    if address is not None:
        return "ray", "a cluster address is set"
    if videos > 1:
        return "ray", f"{videos} videos can run side by side"
    if segments >= SEGMENTS_WORTH_RAY and cores >= CORES_WORTH_RAY:
        return "ray", f"{segments} segments can run side by side"
    return "local", "one video on this machine; --runner ray to use Ray"
