"""A signature is read again when a result is verified, without the network."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from upath import UPath

from pipeline.credentials.sign import Credentials, credentials_of, sign
from pipeline.evidence.record import Evidence, Work
from pipeline.job.report import VideoReport
from pipeline.verification.files import check_signatures
from pipeline.verification.record import Recorded
from tests.support import SAMPLES
from tests.support.certificates import make_certificate
from tests.support.faces import scene

pytest.importorskip("c2pa")


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    made = credentials_of(*make_certificate(tmp_path_factory.mktemp("keys")))
    assert made is not None
    return made


def signed(file: Path, source: Path, credentials: Credentials) -> Recorded:
    """Sign a file, and return what a report says of it."""
    folder = file.parent / "signed"
    folder.mkdir()
    made = sign(file, source, credentials, restored=True, folder=folder)
    made.rename(file.parent / made.name)
    beside = {} if made.name == file.name else {".c2pa": UPath(file.parent / made.name)}
    video = VideoReport(
        str(source), str(file), "done", outputs={"encode": str(file)}, signed=(file.name,)
    )
    evidence = Evidence({}, {}, Work((), {}, {}, {}, (), 1), ())
    return Recorded(video, evidence, UPath(file), beside)


def only(record: Recorded) -> tuple[str, str]:
    (found,) = check_signatures(record)
    assert found.check == "signature"
    return found.state, found.text


def picture(folder: Path) -> Path:
    scene(96, 64).save(folder / "better.png")
    return folder / "better.png"


def film(folder: Path) -> Path:
    return Path(shutil.copy(SAMPLES / "street.mp4", folder / "better.mkv"))


@pytest.mark.parametrize("make", [picture, film])
def test_a_signature_holds_until_the_file_is_changed(
    tmp_path: Path, credentials: Credentials, make: Callable[[Path], Path]
) -> None:
    file = make(tmp_path)
    record = signed(file, SAMPLES / "portrait.mp4", credentials)
    told = f"{file.name} was signed by 'Test signer'"
    assert only(record) == ("ok", f"{told}, and not changed since")
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert only(record) == ("failed", f"{told}, and does not hold: assertion.dataHash.mismatch")


def test_a_signature_that_was_taken_away_is_missed(
    tmp_path: Path, credentials: Credentials
) -> None:
    file = picture(tmp_path)
    record = signed(file, SAMPLES / "portrait.mp4", credentials)
    picture(tmp_path)
    state, text = only(record)
    assert state == "failed"
    assert text.startswith("better.png has none that can be read")


def test_what_was_not_signed_has_no_finding(tmp_path: Path, credentials: Credentials) -> None:
    record = signed(picture(tmp_path), SAMPLES / "portrait.mp4", credentials)
    assert not list(check_signatures(replace(record, video=replace(record.video, signed=()))))


def test_without_the_library_it_is_unproven(
    tmp_path: Path, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = signed(picture(tmp_path), SAMPLES / "portrait.mp4", credentials)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    state, text = only(record)
    assert (state, text) == (
        "unproven",
        "better.png: to read it, install aminet-video[c2pa]",
    )


@pytest.fixture
def asked() -> Generator[tuple[str, list[str]]]:
    """Serve nothing; give the address, and the paths that are asked for."""
    paths: list[str] = []

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the terminal clean."""

    with HTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/elsewhere.c2pa", paths
        server.shutdown()


def test_a_file_cannot_have_this_machine_fetch_something(
    tmp_path: Path, credentials: Credentials, asked: tuple[str, list[str]]
) -> None:
    """C2PA lets a file name an address of its manifest, in its XMP."""
    address, paths = asked
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        f' xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"/></rdf:RDF>'
        "</x:xmpmeta>"
    )
    source = tmp_path / "source.jpg"
    scene(96, 64).save(source, xmp=xmp.encode())
    record = signed(picture(tmp_path), source, credentials)
    assert only(record)[0] == "ok"
    remote = replace(
        record, output=UPath(source), video=replace(record.video, signed=("source.jpg",))
    )
    assert only(remote)[0] == "failed"
    assert not paths
