"""Whoever typed an option is told of that option, not of the setting that it sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.app import main
from pipeline.cli.enhance import enhance
from pipeline.cli.naming import _options_of  # pyright: ignore[reportPrivateUsage]
from pipeline.config import Flags
from tests.support.media import Video, make_video

TIME = "expected seconds, or a time such as 01:30 or 1:02:03.5"
WRONG = {
    "--scale": {
        "1.5": "expected a whole number from 1 to 4 (got '1.5')",
        "2x": "expected a whole number from 1 to 4 (got '2x')",
        "0": "expected a whole number from 1 to 4 (got '0')",
        "5": "expected a whole number from 1 to 4 (got '5')",
    },
    "--strength": {
        "80%": "expected a number from 0 to 1 (got '80%')",
        "80": "expected a number from 0 to 1 (got '80')",
        "nan": "expected a number from 0 to 1 (got 'nan')",
    },
    "--look": {"pretty": "expected 'faithful' or 'sharp' (got 'pretty')"},
    "--faces": {
        "bigest": "expected 'all' or 'largest', or a whole number (got 'bigest')",
        "0": "expected 'all' or 'largest', or at least 1 (got 0)",
        "2.5": "expected 'all' or 'largest', or a whole number (got '2.5')",
    },
    "--from": {
        "later": f"{TIME} (got 'later')",
        "10s": f"{TIME} (got '10s')",
        "-1": "expected at least 0",
    },
    "--to": {
        "1:99": f"{TIME} (got '1:99')",
        "0": "expected a time after the start, which is at 0 s (got '0')",
    },
    "--video": {
        "first": "expected a whole number, at least 0 (got 'first')",
        "3": "has no video stream 3 (--video), expected one of: 0 (h264)",
    },
    "--runner": {"spark": "expected 'auto', 'local' or 'ray' (got 'spark')"},
    "--address": {"here": "expected HOST:PORT, ray://HOST:PORT or auto (got 'here')"},
    "--sign-cert": {"no.pem": "add --sign-key"},
    "--sign-key": {"no.pem": "add --sign-cert"},
    "--sign-tsa": {"http://tsa": "add --sign-cert"},
}
SWITCHES = {"--evidence", "--change-map", "--label"}
NEED_A_VIDEO = {"--video", "--sign-cert", "--sign-key", "--sign-tsa"}
CASES = [(option, value) for option, values in WRONG.items() for value in values]


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str]:
    """Return the exit code and the error that a command gives, in one line."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("sys.argv", ["aminet", *words])
    code = main()
    return code, " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_every_option_that_is_a_setting_has_a_wrong_value_here() -> None:
    options = _options_of(enhance)
    flags = {options[name] for name in Flags.__annotations__ if name in options}
    assert flags == WRONG.keys() | SWITCHES


@pytest.mark.parametrize(("option", "value"), CASES)
def test_a_wrong_value_is_told_by_its_option(
    option: str,
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "v.mp4"
    if option in NEED_A_VIDEO:
        make_video(source, Video(frames=2))
    words = ("plan", str(source), "-o", str(tmp_path / "o.mkv"), f"{option}={value}")
    code, error = said(monkeypatch, capsys, *words)
    assert code == 2
    assert WRONG[option][value] in error
    assert option in error
    assert "node '" not in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from=a", "--to=b"), f"--from: {TIME} (got 'a'); --to: {TIME} (got 'b')"),
        (("--from=9", "--to=8"), "aminet: --to: expected a time after the start, which is at 9 s"),
        (("--set=decode.from_s=9", "--to=8"), "aminet: --to: expected a time after the start"),
        # Not all of this was typed as an option.
        (("--from=9", "--set=decode.to_s=8"), "node 'decode' (aminet.decode): to_s: expected"),
        (("--evidence", "--set=decode.hardware=auto"), "hardware: expected off with --evidence"),
        (("--set=params.look=odd",), "node 'enhance' (aminet.enhance): look: expected"),
        (("--set=params.evidence=odd",), "node 'decode' (aminet.decode): exact: expected"),
        (("--set=run.runner=spark",), "aminet: run.runner: expected"),
    ],
)
def test_only_what_was_typed_as_an_option_is_told_as_one(
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, error = said(monkeypatch, capsys, "enhance", "-", "-o", "-", *words)
    assert code == 2
    assert message in error


def test_an_option_that_a_graph_does_not_have_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, error = said(monkeypatch, capsys, "run", "redact", "in.mp4", "-o", "o.mp4", "--look=sharp")
    assert error.startswith("aminet: --look: the graph 'redact' has no such parameter; there are: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "x", "--sample=2.5"), "expected a whole number, at least 0 (got '2.5')"),
        (("eval", "x", "--scale=x4"), "expected a whole number from 2 to 16 (got 'x4')"),
        (("models", "--share=50%"), "expected a number from 0 to 1 (got '50%')"),
        (("graph", "draw", "--form=png"), "expected one of mermaid, svg (got 'png')"),
        (("graph", "schema", "grahp"), "no schema of 'grahp': did you mean 'graph'?"),
        (("graph", "schema", "blur"), "no schema of 'blur': did you mean 'aminet.blur'?"),
        (("verify", "nowhere.mp4"), "no such file or folder: "),
    ],
)
def test_what_other_commands_refuse_is_told_alike(
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, error = said(monkeypatch, capsys, *words)
    assert code == 2
    assert message in error
