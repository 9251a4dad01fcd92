"""Signing finished files with Content Credentials.

The manifest lies in the file where its format has a place for it, else in a `.c2pa` file beside it.
It names the source as what was opened, the program that edited it, and IPTC's digital source type.

Source: C2PA technical specification 2, sections on actions and ingredients.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, RunFailedError
from pipeline.evidence.label import LABEL, SOURCE_TYPE
from pipeline.evidence.versions import PACKAGE
from pipeline.url_secrets import redacted

if TYPE_CHECKING:
    import c2pa

__all__ = [
    "CREDENTIALS",
    "OFFLINE",
    "OTHER",
    "Credentials",
    "credentials_of",
    "media_type_of",
    "sign",
]

CREDENTIALS: Final = ".c2pa"
"""Ending of a manifest beside a file that cannot hold one."""

OFFLINE: Final = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
"""Settings of C2PA's library: a file could otherwise have this machine fetch any address."""

_EMBEDDED: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""Types of the files that hold their manifest, by suffix."""
OTHER: Final = "application/octet-stream"
"""Type of all other files."""

_CERT: Final = "AMINET_SIGN_CERT"
_KEY: Final = "AMINET_SIGN_KEY"
_TSA: Final = "AMINET_SIGN_TSA"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What files are signed with. Its key is in no message and no report."""

    algorithm: str
    """Name in C2PA, such as `es256`."""
    chain_pem: bytes
    """The certificates, the signer's first."""
    key_pem: bytes
    timestamp_url: str | None = None
    """Timestamp authority (RFC 3161) to ask; None: the signature has no timestamp."""


def credentials_of(
    cert: Path | None, key: Path | None, timestamp_url: str | None = None
) -> Credentials | None:
    """Read the certificate and the key that were given, or that the environment names.

    Args:
        cert: PEM file of the certificate and those above it; None: `AMINET_SIGN_CERT`.
        key: PEM file of its private key, not encrypted; None: `AMINET_SIGN_KEY`.
        timestamp_url: of a timestamp authority, which is asked for each signature; None:
            `AMINET_SIGN_TSA`, or none.

    Returns:
        None if nothing is to be signed.

    Raises:
        ConfigError: one of the files is missing or cannot be used, the URL is none of HTTP, or
            `aminet-video[c2pa]` is not installed.
    """
    files = [_named(cert, _CERT), _named(key, _KEY)]
    if files == [None, None] and timestamp_url is None:
        return None
    for file, what in zip(files, ("--sign-cert", "--sign-key"), strict=True):
        if file is None:
            raise ConfigError(
                "to sign (--sign-cert, --sign-key, --sign-tsa), a certificate and its key are"
                f" needed: add {what}"
            )
    try:
        import c2pa
    except ImportError as error:
        raise ConfigError("to sign, install aminet-video[c2pa]") from error
    try:
        chain, secret = (file.read_bytes() for file in files if file is not None)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from error
    url = timestamp_url or os.environ.get(_TSA) or None
    if url is not None and urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"--sign-tsa {redacted(url)}: expected http://... or https://...")
    made = Credentials(_algorithm(chain, secret), chain, secret, url)
    try:
        _try_to_sign(made)
    except (c2pa.C2paError, RunFailedError) as error:
        raise ConfigError(
            f"{files[0]}: cannot be signed with ({error.__cause__ or error}); a certificate of an"
            " authority is needed, with those above it in the same file"
        ) from error
    return made


def sign(
    file: Path, source: Path, credentials: Credentials, *, restored: bool, folder: Path
) -> Path:
    """Sign a finished file, which stays as it is.

    Args:
        file: to sign.
        source: what it was made from.
        credentials: to sign with.
        restored: whether any face was restored.
        folder: where the result goes; not that of the file.

    Returns:
        The signed file, under the same name; or, if its format cannot hold a manifest, the manifest
        alone, as `NAME.c2pa`.

    Raises:
        RunFailedError: it cannot be signed, or the timestamp authority does not answer.
        OSError: a file cannot be read or written.
    """
    import c2pa

    media_type = media_type_of(file)
    signed = folder / file.name
    ingredient = {"title": source.name, "relationship": "parentOf"}
    try:
        with (
            _signer(credentials) as signer,
            c2pa.Context.from_dict(OFFLINE) as context,
            c2pa.Builder(_manifest(file.name, restored=restored), context) as builder,
            source.open("rb") as parent,
            file.open("rb") as content,
            signed.open("w+b") as out,
        ):
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            if media_type is None:
                builder.set_no_embed()
            parent_type = media_type_of(source) or OTHER
            builder.add_ingredient(json.dumps(ingredient), parent_type, parent)
            manifest = builder.sign(signer, media_type or OTHER, content, out)
    except c2pa.C2paError as error:
        signed.unlink(missing_ok=True)
        raise RunFailedError(_why_not(file, credentials, error)) from error
    if media_type is not None:
        return signed
    signed.unlink()
    beside = folder / f"{file.name}{CREDENTIALS}"
    beside.write_bytes(manifest)
    return beside


def _try_to_sign(credentials: Credentials) -> None:
    """Sign a file of one byte, without a timestamp: only that shows whether C2PA takes them."""
    with TemporaryDirectory() as folder:
        file, signed = Path(folder, "a.bin"), Path(folder, "signed")
        file.write_bytes(b"\0")
        signed.mkdir()
        sign(file, file, replace(credentials, timestamp_url=None), restored=False, folder=signed)


def media_type_of(file: Path) -> str | None:
    """Return the type of a file that can hold its manifest, None of another."""
    return _EMBEDDED.get(file.suffix.lower())


def _why_not(file: Path, credentials: Credentials, error: Exception) -> str:
    if credentials.timestamp_url is not None and "http resolver" in str(error):
        url = redacted(credentials.timestamp_url)
        return f"{file.name}: not signed, since the timestamp authority {url} does not answer"
    return f"{file.name}: cannot be signed ({error})"


def _manifest(title: str, *, restored: bool) -> dict[str, Any]:
    program = {"name": PACKAGE, "version": version(PACKAGE)}
    action: dict[str, Any] = {"action": "c2pa.transcoded", "softwareAgent": program}
    if restored:
        action |= {
            "action": "c2pa.edited",
            "digitalSourceType": SOURCE_TYPE,
            "description": LABEL,
        }
    return {
        "title": title,
        "claim_generator_info": [program],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _named(given: Path | None, variable: str) -> Path | None:
    found = os.environ.get(variable)
    return given if given is not None or not found else Path(found)


def _signer(credentials: Credentials) -> c2pa.Signer:
    import c2pa

    algorithm = credentials.algorithm.encode()
    chain, key, url = credentials.chain_pem, credentials.key_pem, credentials.timestamp_url
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain, key, url))


def _algorithm(chain: bytes, key: bytes) -> str:
    """Return the algorithm of a key, once it is sure that it is the certificate's."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key, password=None)
        public = x509.load_pem_x509_certificate(chain).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            "the certificate or the key to sign with cannot be read: expected PEM files, and a key"
            " without a password"
        ) from error
    if private.public_key() != public:
        raise ConfigError("the key to sign with does not belong to the certificate")
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return {256: "es256", 384: "es384", 521: "es512"}.get(private.key_size, "es256")
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise ConfigError("the key to sign with is none of ECDSA, RSA and Ed25519")
