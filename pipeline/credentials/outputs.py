"""Signing all outputs of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodes.media.picture_files import files_of, is_numbered, numbered
from nodes.media.urls import is_url
from pipeline.credentials.sign import CREDENTIALS, Credentials, sign

__all__ = ["Signed", "Unsigned", "sign_outputs"]

_WHY_NOT = "not signed, since the source of each picture is not one file"


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A finished output on this machine."""

    file: Path
    """The file, or the pattern of its numbered pictures."""
    infix: str = ""
    """What the name of a manifest beside it has before `.c2pa`, such as `.main`: where a video has
    several outputs, the name of its encoder."""


@dataclass(slots=True)
class Signed:
    """What signing the outputs of a video made."""

    files: list[Path] = field(default_factory=list[Path])
    """Files that hold their manifests; their names are those of the unsigned ones."""
    manifests: dict[str, Path] = field(default_factory=dict[str, Path])
    """Manifests that lie beside the output, by ending."""
    names: tuple[str, ...] = ()
    """Names of all files that are signed."""
    notes: tuple[str, ...] = ()
    """What was not signed, and why."""


def sign_outputs(
    outputs: Sequence[Unsigned],
    source: str,
    credentials: Credentials,
    folder: Path,
    *,
    restored: bool,
) -> Signed:
    """Sign all outputs of a video. The files stay as they are.

    Args:
        outputs: to sign; their names differ.
        source: what they were made from: a local path or pattern, or a URL.
        credentials: to sign with.
        folder: where the results go; it is created.
        restored: whether any face was restored.

    Raises:
        RunFailedError: a file cannot be signed.
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    signed = Signed()
    for output in outputs:
        parents = _parents(output.file, source)
        if not parents:
            signed.notes += (f"{output.file.name}: {_WHY_NOT}",)
        for file, parent in parents:
            made = sign(file, parent, credentials, restored=restored, folder=folder)
            signed.names += (file.name,)
            if made.name == file.name:
                signed.files.append(made)
            else:
                signed.manifests[output.infix + CREDENTIALS] = made
    return signed


def _parents(file: Path, source: str) -> list[tuple[Path, Path]]:
    """Return each file of an output with the source that it was made from; none if unknown."""
    made, given = files_of(file), [] if is_url(source) else files_of(source)
    if is_numbered(str(file)) and is_numbered(source):
        of_number = numbered(source)
        pictures = numbered(file)
        if pictures.keys() <= of_number.keys():
            return [(picture, of_number[number]) for number, picture in pictures.items()]
    if len(made) == len(given) == 1 and given[0].is_file():
        return [(made[0], given[0])]
    return []
