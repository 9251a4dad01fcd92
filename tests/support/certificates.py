"""Throwaway certificates to sign with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make_certificate(folder: Path, key: Key | None = None) -> tuple[Path, Path]:
    """Write a signer's certificate with its root, and its key; return the two PEM files."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    key = key or ec.generate_private_key(ec.SECP256R1())
    chain = [
        certificate("Test signer", key, root_key, is_root=False),
        certificate("Test root", root_key, root_key, is_root=True),
    ]
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    cert_file.write_bytes(b"".join(each.public_bytes(pem) for each in chain))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, pkcs8, plain))
    return cert_file, key_file


def certificate(
    name: str,
    key: Key,
    root_key: ec.EllipticCurvePrivateKey,
    *,
    is_root: bool,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> x509.Certificate:
    public, root = key.public_key(), root_key.public_key()
    now = datetime.now(UTC)
    use = x509.KeyUsage(
        digital_signature=not is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )
    # The only purpose of a timestamp authority has to be critical.
    critical = purpose == ExtendedKeyUsageOID.TIME_STAMPING
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("Test root"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(use, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root), critical=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical)
        .sign(root_key, hashes.SHA256())
    )


def named(name: str) -> x509.Name:
    pairs = ((NameOID.ORGANIZATION_NAME, "Test"), (NameOID.COMMON_NAME, name))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])
