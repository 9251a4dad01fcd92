"""Content Credentials, made with a throwaway certificate and read back with C2PA's own reader."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pipeline.credentials.sign import Credentials, credentials_of, sign
from pipeline.errors import ConfigError, RunFailedError
from pipeline.evidence.label import SOURCE_TYPE
from tests.support import SAMPLES
from tests.support.certificates import make_certificate
from tests.support.faces import scene
from tests.support.media import Video, make_video
from tests.support.timestamps import timestamp_authority

c2pa = pytest.importorskip("c2pa")

TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    made = credentials_of(*make_certificate(tmp_path_factory.mktemp("keys")))
    assert made is not None
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "signed").mkdir()
    return Path(shutil.copy(SAMPLES / "portrait.mp4", tmp_path / "door.mp4"))


def signed(file: Path, source: Path, credentials: Credentials, *, restored: bool = True) -> Path:
    """Sign a file into the folder for that, and return what was made."""
    folder = source.parent / "signed"
    made = sign(file, source, credentials, restored=restored, folder=folder)
    assert list(folder.iterdir()) == [made]
    return made


def file_of(suffix: str, folder: Path) -> Path:
    file = folder / f"better{suffix}"
    if suffix in (".jpg", ".png", ".webp"):
        scene(96, 64).save(file)
        return file
    return make_video(file, Video(frames=3))


def read(content: bytes, media_type: str, manifest: bytes | None = None) -> tuple[str, Any]:
    """Return the state of validation, and the active manifest."""
    with c2pa.Reader(media_type, io.BytesIO(content), manifest) as reader:
        store = json.loads(reader.json())
        return store["validation_state"], store["manifests"][store["active_manifest"]]


def actions_of(manifest: Any) -> list[Any]:
    (found,) = (a for a in manifest["assertions"] if a["label"].startswith("c2pa.actions"))
    return found["data"]["actions"]


@pytest.mark.parametrize("suffix", TYPES)
def test_a_file_holds_its_manifest(suffix: str, source: Path, credentials: Credentials) -> None:
    file = file_of(suffix, source.parent)
    before = file.read_bytes()
    made = signed(file, source, credentials)
    assert made.name == file.name
    assert file.read_bytes() == before
    state, manifest = read(made.read_bytes(), TYPES[suffix])
    assert state == "Valid"
    assert manifest["title"] == file.name
    (parent,) = manifest["ingredients"]
    assert (parent["title"], parent["relationship"]) == ("door.mp4", "parentOf")
    opened, edited = actions_of(manifest)
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["digitalSourceType"] == SOURCE_TYPE
    assert edited["softwareAgent"]["name"] == "aminet-video"
    assert manifest["signature_info"]["common_name"] == "Test signer"
    assert "time" not in manifest["signature_info"]


def test_a_changed_byte_breaks_it(source: Path, credentials: Credentials) -> None:
    file = file_of(".png", source.parent)
    content = bytearray(signed(file, source, credentials).read_bytes())
    content[-20] ^= 1
    assert read(bytes(content), "image/png")[0] == "Invalid"


def test_what_was_signed_before_stays_in_the_history(
    source: Path, credentials: Credentials
) -> None:
    file = file_of(".png", source.parent)
    first = signed(file, source, credentials).rename(source.with_name("first.png"))
    second = signed(file, first, credentials)
    state, manifest = read(second.read_bytes(), "image/png")
    assert state == "Valid"
    assert manifest["ingredients"][0]["active_manifest"].startswith("urn:c2pa:")


def test_others_have_it_beside_them(source: Path, credentials: Credentials) -> None:
    file = file_of(".mkv", source.parent)
    before = file.read_bytes()
    beside = signed(file, source, credentials)
    assert beside.name == "better.mkv.c2pa"
    assert file.read_bytes() == before
    state, manifest = read(before, "application/octet-stream", beside.read_bytes())
    assert (state, manifest["title"]) == ("Valid", "better.mkv")
    changed = before[:-1] + bytes([before[-1] ^ 1])
    assert read(changed, "application/octet-stream", beside.read_bytes())[0] == "Invalid"


def test_without_restored_faces_nothing_is_said_to_be_generated(
    source: Path, credentials: Credentials
) -> None:
    file = file_of(".png", source.parent)
    made = signed(file, source, credentials, restored=False)
    actions = actions_of(read(made.read_bytes(), "image/png")[1])
    assert [action["action"] for action in actions] == ["c2pa.opened", "c2pa.transcoded"]
    assert not any("digitalSourceType" in action for action in actions)


def test_a_file_that_is_none_cannot_be_signed(source: Path, credentials: Credentials) -> None:
    file = source.with_name("better.png")
    file.write_bytes(b"no picture")
    with pytest.raises(RunFailedError, match=r"better\.png: cannot be signed"):
        signed(file, source, credentials)
    assert file.read_bytes() == b"no picture"
    assert not list((source.parent / "signed").iterdir())


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_the_algorithm_is_that_of_the_key(
    tmp_path: Path, source: Path, key: Any, algorithm: str
) -> None:
    made = credentials_of(*make_certificate(tmp_path, key))
    assert made is not None
    assert made.algorithm == algorithm
    file = file_of(".png", tmp_path)
    assert read(signed(file, source, made).read_bytes(), "image/png")[0] == "Valid"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the timestamps")
def test_a_timestamp_authority_is_asked_if_one_is_named(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = make_certificate(tmp_path)
    clock = tmp_path / "clock"
    clock.mkdir()
    with timestamp_authority(clock) as url:
        made = credentials_of(cert, key, url)
        assert made is not None
        state, manifest = read(
            signed(file_of(".png", tmp_path), source, made).read_bytes(), "image/png"
        )
    assert state == "Valid"
    assert datetime.now(UTC) - datetime.fromisoformat(manifest["signature_info"]["time"]) < (
        timedelta(minutes=5)
    )
    with pytest.raises(RunFailedError, match=r"the timestamp authority http://\S+ does not answer"):
        signed(file_of(".png", tmp_path), source, made)
    monkeypatch.setenv("AMINET_SIGN_TSA", url)
    assert credentials_of(cert, key) == made
    with pytest.raises(ConfigError, match="--sign-tsa ftp://x: expected http"):
        credentials_of(cert, key, "ftp://x")
    with pytest.raises(ConfigError, match="add --sign-cert"):
        credentials_of(None, None, url)


def test_files_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AMINET_SIGN_CERT", "AMINET_SIGN_KEY"):
        monkeypatch.delenv(variable, raising=False)
    assert credentials_of(None, None) is None
    cert, key = make_certificate(tmp_path)
    monkeypatch.setenv("AMINET_SIGN_CERT", str(cert))
    with pytest.raises(ConfigError, match="add --sign-key"):
        credentials_of(None, None)
    monkeypatch.setenv("AMINET_SIGN_KEY", str(key))
    made = credentials_of(None, None)
    assert made is not None
    assert made.chain_pem == cert.read_bytes()
    assert "PRIVATE" not in repr(made)


def test_a_certificate_of_no_authority_is_refused_at_once(tmp_path: Path) -> None:
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a"
    words = [*command.split(), "-keyout", str(key_file), "-out", str(cert_file)]
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    subprocess.run(words, check=True, capture_output=True)
    with pytest.raises(ConfigError, match="self-signed"):
        credentials_of(cert_file, key_file)


def test_what_cannot_be_signed_with_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = make_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = make_certificate(other)
    with pytest.raises(ConfigError, match="does not belong to the certificate"):
        credentials_of(cert, foreign)
    with pytest.raises(ConfigError, match=r"none\.pem: cannot be read"):
        credentials_of(cert, tmp_path / "none.pem")
    with pytest.raises(ConfigError, match="expected PEM files"):
        credentials_of(key, cert)
    with pytest.raises(ConfigError, match="add --sign-cert"):
        credentials_of(None, key)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(ConfigError, match=r"install aminet-video\[c2pa\]"):
        credentials_of(cert, key)
