"""Is a result what its report says? Files, records, and the work done again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from aminet.errors import AminetError
from nodes.evidence.rows import FrameRow
from nodes.join import FRAMES
from nodes.media.picture_formats import picture_format
from nodes.media.urls import is_url
from nodes.node import Node, NodeConfig
from nodes.reports import counted
from pipeline.config import RunOptions
from pipeline.errors import ConfigError
from pipeline.evidence.versions import pixel_versions
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.graph.roles import encode_nodes
from pipeline.storage.locations import location_of
from pipeline.storage.scratch import Scratch, scratch_of
from pipeline.storage.staging import staged
from pipeline.verification.check_node import BLOCK_PX, Compared
from pipeline.verification.files import (
    check_output,
    check_rows,
    check_sides,
    check_signatures,
    check_source,
    not_there,
)
from pipeline.verification.findings import Finding, Verification, failed, ok, unproven
from pipeline.verification.pictures import OutputPictures, check_lossless
from pipeline.verification.record import (
    Recorded,
    check_settings_digest,
    find_report,
    read_record,
)
from pipeline.verification.repeat import (
    Repetition,
    check_weights,
    differing,
    parts_of,
    recorded_graph,
    repeat,
)

__all__ = ["verify"]

SAME_LEVELS = 2
"""Without `--evidence`, rounding in batches of other faces may make single levels of difference."""
LOSSY_LEVELS = 16.0
"""A square of a picture whose mean differs by more was not changed by coding it."""


def verify(
    out: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    sample: int | None = None,
) -> Verification:
    """Check a result against its report.

    Args:
        out: the output, the folder of several, or the report.
        source: where the only input is now; None: where it was.
        sample: how many frames, chosen at random, to check: they are made again with those before
            them in their segments. 0 for none, None for all.

    Raises:
        pipeline.errors.ConfigError: there is no report, or `sample` is no count.
        pipeline.errors.StorageError: an object store cannot be used.
    """
    if sample is not None and (type(sample) is not int or sample < 0):
        raise ConfigError(f"sample: expected a number of frames, or None for all (got {sample!r})")
    location = location_of(out)
    report = find_report(location)
    records, found = read_record(report, location)
    options = RunOptions()
    scratch = scratch_of(options.scratch_dir, options.scratch_bytes)
    for record in records:
        name = record.output.name if len(records) > 1 else ""
        for finding in _of_video(record, None if source is None else str(source), sample, scratch):
            found.append(replace(finding, output=name))
    return Verification(tuple(found))


def _of_video(
    record: Recorded, moved: str | None, sample: int | None, scratch: Scratch
) -> Iterator[Finding]:
    """Yield the findings about one video, cheap ones first."""
    yield check_settings_digest(record.video, record.evidence)
    yield _check_versions(record.evidence.work.versions)
    yield from check_output(record)
    yield from check_sides(record)
    yield from check_signatures(record)
    with ExitStack() as stack:
        source = _staged(stack, moved or record.video.source, scratch)
        of_source = (
            not_there(moved or record.video.source)
            if source is None
            else check_source(source, record.evidence.source_sha256)
        )
        yield of_source
        rows_file = _staged(stack, str(record.sides.get(FRAMES, "")), scratch)
        if rows_file is None:
            yield unproven("frames", "there is no record of the frames to compare with")
            return
        rows, of_rows = check_rows(record.video, record, Path(rows_file))
        yield of_rows
        output = _staged(stack, str(record.output), scratch)
        if output is None or not rows:
            return
        exact = _is_exact(record)
        if exact and sample != 0:
            yield check_lossless(output, rows, record.evidence.work.threads)
        # A report is not trusted to have this machine fetch something.
        readable = source is not None and not is_url(source) and of_source.state != "failed"
        if sample == 0 or source is None or not readable:
            yield unproven("frames", "the work was not done again")
            return
        yield from _repeated(record, source, output, rows, sample)


def _staged(stack: ExitStack, path: str, scratch: Scratch) -> str | None:
    """Return a local copy of what may lie in an object store, None if it is not there."""
    if not path:
        return None
    try:
        return stack.enter_context(staged(path, scratch))
    except (AminetError, OSError):
        return None


def _check_versions(recorded: Mapping[str, str]) -> Finding:
    now = pixel_versions()
    other = [
        f"{name} {now.get(name, 'none')} (then {recorded.get(name, 'none')})"
        for name in sorted(now.keys() | recorded.keys())
        if now.get(name) != recorded.get(name)
    ]
    if other:
        text = f"pixels may come out otherwise: {', '.join(other)}"
        return unproven("versions", text)
    return ok("versions", f"this program and {len(now) - 1} others are as they were")


def _is_exact(record: Recorded) -> bool:
    """Tell whether the output holds, bit by bit, the pictures that were handed to the encoder."""
    if picture_format(record.output.name) is not None:
        return False
    encoders = [name for name, path in record.video.outputs.items() if path == record.video.output]
    report = record.video.nodes.get(encoders[0], {}) if encoders else {}
    return bool(report.get("lossless")) and report.get("converted_from") is None


def _repeated(
    record: Recorded,
    source: str,
    output: str,
    rows: Sequence[FrameRow],
    sample: int | None,
) -> Iterator[Finding]:
    work = record.evidence.work
    try:
        graph = recorded_graph(work)
        nodes = prepared(graph)
        yield check_weights(nodes, work)
        again, parts = _do(graph, nodes, record, source, output, rows, sample)
    except AminetError as error:
        yield failed("frames", f"the work cannot be done again: {error}")
        return
    exact = bool(graph.params.get("evidence"))
    whole = parts == list(work.segments)
    yield _check_frames(again, rows, sample, exact=exact, whole=whole)
    yield _check_outside(again.compared)
    yield _check_pictures(again.compared, record, graph, exact=_is_exact(record))


def _do(
    graph: Graph,
    nodes: Mapping[str, Node[NodeConfig]],
    record: Recorded,
    source: str,
    output: str,
    rows: Sequence[FrameRow],
    sample: int | None,
) -> tuple[Repetition, list[tuple[int | None, int | None, int | None]]]:
    work = record.evidence.work
    parts = parts_of(work, rows, sample)
    with OutputPictures(output, rows, work.threads) as pictures:
        return repeat(graph, nodes, source, work, parts, pictures), parts


def _check_frames(
    again: Repetition, rows: Sequence[FrameRow], sample: int | None, *, exact: bool, whole: bool
) -> Finding:
    recorded = {row["pts"]: row for row in rows}
    wrong = list(differing(again.rows, recorded))
    done = f"{len(again.rows)} of {counted(len(rows), 'frame')} made again"
    if sample is not None and not whole:
        done += f" ({sample} chosen at random, and what comes before them in their segments)"
    if whole and len(again.rows) != len(rows):
        return failed("frames", f"{done}: the source has other frames than are recorded")
    if not wrong:
        return ok("frames", f"{done}: each came out as recorded, bit by bit")
    what, pts = wrong[0]
    words = {
        "frame": "there was no such frame",
        "source": "the source decodes to another picture",
        "faces": "other regions are altered than are recorded",
        "written": "another picture came out than was recorded",
    }
    text = f"{done}; at pts {pts} {words[what]} ({counted(len(wrong), 'frame')} not as recorded)"
    if all(what == "written" for what, _ in wrong) and not exact:
        return unproven("frames", f"{text}: without --evidence, batches make single levels differ")
    return failed("frames", text)


def _check_outside(compared: Compared) -> Finding:
    if compared.outside_pts:
        text = f"altered outside the named regions: {counted(len(compared.outside_pts), 'frame')}"
        return failed("outside", f"{text}, the first at pts {compared.outside_pts[0]}")
    text = f"in {counted(compared.frames, 'frame')} no sample outside the named regions differs"
    return ok("outside", f"{text} from a plain decode of the source")


def _check_pictures(compared: Compared, record: Recorded, graph: Graph, *, exact: bool) -> Finding:
    name = record.output.name
    if compared.missing_pts is not None:
        return failed("pictures", f"{name} has no such picture at pts {compared.missing_pts}")
    told = (
        f"in {counted(compared.pictures, 'picture')} of {name} samples differ from those made again"
        f" by at most {compared.largest} levels, and the mean of a {BLOCK_PX} px square by"
        f" {compared.block:.1f}"
    )
    if exact:
        most = 0 if graph.params.get("evidence") else SAME_LEVELS
        if compared.largest > most:
            return failed("pictures", f"{told}: at most {most} levels can be")
        return ok("pictures", told)
    encoder = record.video.nodes.get(encode_nodes(graph)[0].name, {}).get("encoder")
    coding = (
        f"coding with {encoder}" if picture_format(name) is None else "coding as such a picture"
    )
    if compared.block > LOSSY_LEVELS:
        return failed("pictures", f"{told}, at pts {compared.block_pts}: coding does not do that")
    return ok("pictures", f"{told}, which is what {coding} may do")
