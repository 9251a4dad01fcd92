"""Whether files are, byte by byte, those that a report names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from upath import UPath

from nodes.errors import MediaError
from nodes.evidence.rows import FrameRow, read_rows
from nodes.media.picture_files import files_of
from nodes.media.urls import is_url
from pipeline.credentials.read import read_signature
from pipeline.credentials.sign import CREDENTIALS
from pipeline.evidence.tracks import track_records
from pipeline.job.report import VideoReport
from pipeline.storage.digests import file_sha256
from pipeline.storage.locations import read
from pipeline.verification.findings import Finding, failed, ok, unproven
from pipeline.verification.record import Recorded

__all__ = [
    "check_output",
    "check_rows",
    "check_sides",
    "check_signatures",
    "check_source",
    "not_there",
]


def not_there(source: str) -> Finding:
    """Return the finding that a source is missing."""
    return failed("source", f"{source} is not there: say with --source where it is")


def check_source(source: str, recorded: Mapping[str, str]) -> Finding:
    """Compare a source with its digests.

    Args:
        source: a local path, or a URL.
        recorded: file name -> SHA-256.
    """
    if is_url(source) or not recorded:
        return unproven("source", f"{source} came from the network, nothing is recorded of it")
    files = [file for file in files_of(source) if file.is_file()]
    if not files:
        return not_there(source)
    # The names may have changed, the content and the number must not.
    now = Counter(file_sha256(file) for file in files)
    if now != Counter(recorded.values()):
        found = ", ".join(digest[:16] for digest in now)
        wanted = ", ".join(digest[:16] for digest in recorded.values())
        return failed("source", f"{source} is not what went in: SHA-256 {found}, not {wanted}")
    return ok("source", f"{Path(source).name} is what went in (SHA-256 {_first(recorded)})")


def check_output(record: Recorded) -> list[Finding]:
    """Compare the output with its digests."""
    found: list[Finding] = []
    for name, digest in record.video.sha256.items():
        found.extend(_compared("output", record.output.with_name(name), digest))
    name = record.output.name
    text = f"{name} is the file that was written (SHA-256 {_first(record.video.sha256)})"
    return found or [ok("output", text)]


def check_sides(record: Recorded) -> list[Finding]:
    """Compare the files beside the output with their digests."""
    digests = record.evidence.beside_sha256
    found = [
        failed("beside", f"the report contradicts itself about {ending}")
        for ending in sorted(digests.keys() ^ record.sides.keys())
    ]
    for ending in digests.keys() & record.sides.keys():
        found.extend(_compared("beside", record.sides[ending], digests[ending]))
    return found or [ok("beside", f"{len(digests)} files beside it are those that were written")]


def check_signatures(record: Recorded) -> Iterator[Finding]:
    """Check the signature of each file that is said to have one."""
    node_of = {Path(place).name: node for node, place in record.video.outputs.items()}
    for name in record.video.signed:
        file = record.output.with_name(name)
        endings = (f".{node_of.get(name)}{CREDENTIALS}", CREDENTIALS)
        manifest = next((record.sides[each] for each in endings if each in record.sides), None)
        if not isinstance(file, Path) or not (manifest is None or isinstance(manifest, Path)):
            yield unproven("signature", f"{name}: not read, since it is in an object store")
            continue
        try:
            found = read_signature(file, manifest)
        except ImportError:
            yield unproven("signature", f"{name}: to read it, install aminet-video[c2pa]")
        except (OSError, ValueError) as error:
            yield failed("signature", f"{name} has none that can be read: {error}")
        else:
            at = f" at {found.time}" if found.time else ""
            text = f"{name} was signed by {found.signer!r}{at}"
            if found.faults:
                yield failed("signature", f"{text}, and does not hold: {', '.join(found.faults)}")
            else:
                yield ok("signature", f"{text}, and not changed since")


def check_rows(video: VideoReport, record: Recorded, rows: Path) -> tuple[list[FrameRow], Finding]:
    """Read the frames' rows, and compare them with what the report sums up of them.

    Args:
        video: what the report says.
        record: the same, with its evidence.
        rows: the file of the rows.

    Returns:
        The rows, none if they cannot be read.
    """
    try:
        frames = list(read_rows(rows))
        tracks = track_records(rows, 1.0)
    except (MediaError, OSError) as error:
        return [], failed("record", f"the frames' record cannot be read: {error}")
    wrong = _sums_that_differ(video, frames)
    said = {track.track_id: (track.frames, track.largest, track.within_xyxy_px, track.area_px)
            for track in record.evidence.tracks}  # fmt: skip
    found = {track.track_id: (track.frames, track.largest, track.within_xyxy_px, track.area_px)
             for track in tracks}  # fmt: skip
    if said != found:
        wrong.append("what was altered of each face")
    if wrong:
        text = f"report and frames' record contradict each other in: {', '.join(wrong)}"
        return frames, failed("record", text)
    altered = sum(bool(row["faces"]) for row in frames)
    text = f"{len(frames)} frames, {altered} of them altered in the named regions, in both records"
    return frames, ok("record", text)


def _sums_that_differ(video: VideoReport, frames: list[FrameRow]) -> list[str]:
    faces = sum(len(row["faces"]) for row in frames)
    times = [row["pts"] for row in frames]
    checks = {
        "the number of frames": len(frames) == video.frames,
        "the number of faces": faces in (0, video.faces),
        "the order of the frames": times == sorted(set(times)),
    }
    return [what for what, right in checks.items() if not right]


def _compared(check: str, location: UPath, digest: str) -> Iterable[Finding]:
    if isinstance(location, Path):
        now = file_sha256(location) if location.is_file() else None
    else:
        content = read(location)
        now = None if content is None else sha256(content).hexdigest()
    if now is None:
        yield failed(check, f"{location.name} is not there")
    elif now != digest:
        yield failed(
            check,
            f"{location.name} is not what was written: SHA-256 {now[:16]}, recorded {digest[:16]}",
        )


def _first(digests: Mapping[str, str]) -> str:
    return next((digest[:16] for digest in digests.values()), "-")
