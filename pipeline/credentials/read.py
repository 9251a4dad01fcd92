"""Reading the signature of a file, and whether it holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.credentials.sign import OFFLINE, OTHER, media_type_of

__all__ = ["Signature", "read_signature"]

_UNTRUSTED: Final = frozenset({"signingCredential.untrusted", "timeStamp.untrusted"})
"""Not faults of a signature: this program has no list of certificates to trust."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The newest signature of a file."""

    signer: str
    """Common name of the certificate, or its organisation."""
    time: str | None
    """When a timestamp authority confirmed it, None without."""
    faults: tuple[str, ...]
    """C2PA's codes of what is wrong with it, empty if it holds."""


def read_signature(file: Path, manifest: Path | None) -> Signature:
    """Read a signature and check it; nothing is fetched from the network.

    Args:
        file: that was signed.
        manifest: its manifest, if that lies beside it.

    Raises:
        ValueError: the file has no signature that can be read.
        ImportError: `aminet-video[c2pa]` is not installed.
        OSError: a file cannot be read.
    """
    import c2pa

    beside = None if manifest is None else manifest.read_bytes()
    try:
        with (
            file.open("rb") as content,
            c2pa.Context.from_dict(OFFLINE) as context,
            c2pa.Reader(media_type_of(file) or OTHER, content, beside, context) as reader,
        ):
            store: dict[str, Any] = json.loads(reader.json())
    except c2pa.C2paError as error:
        raise ValueError(str(error)) from error
    info: dict[str, str] = store["manifests"][store["active_manifest"]].get("signature_info", {})
    found = store.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
    faults = [each["code"] for each in found if each["code"] not in _UNTRUSTED]
    if not faults and store["validation_state"] == "Invalid":
        faults = ["invalid"]
    signer = info.get("common_name") or info.get("issuer") or "an unnamed signer"
    return Signature(signer, info.get("time"), tuple(dict.fromkeys(faults)))
