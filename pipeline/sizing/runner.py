"""Choosing the runner of a job."""

from __future__ import annotations

from typing import Final

__all__ = ["choose_runner"]

SEGMENTS_WORTH_RAY: Final = 4
CORES_WORTH_RAY: Final = 4
"""Least segments and cores for which Ray is faster for one video, despite its start-up time."""


def choose_runner(
    requested: str, *, videos: int, segments: int, cores: int, address: str | None
) -> tuple[str, str]:
    """Return the name of the runner, `local` or `ray`, and the reason.

    Starting Ray takes about 10 s. It does not pay off for one short video, nor on few cores, which
    the local runner keeps busy.

    Args:
        requested: `auto`, or the name of a runner.
        videos: number of videos to process.
        segments: number of segments of all videos to run.
        cores: cores to use on this machine.
        address: of a Ray cluster, if configured.
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
